package journal

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

// FuzzScan feeds the scanner of pages: no rubbish may crash it or come out as a
// record that was not accepted.
func FuzzScan(f *testing.F) {
	dir := f.TempDir()
	keys, want := testKeys(f), map[string]*Entry{}
	bodies := map[string][]byte{}
	file := openTest(f, dir)
	for n := range 20 {
		body := fmt.Appendf(nil, `{"n":%d,"pad":"%0*d"}`, n, 1+n%10/9*9000, n) // some are longer than a page
		e := appendTest(f, file, fmt.Sprintf("id-%02d", n), body)
		want[e.ID], bodies[e.ID] = e, body
	}
	file.Close()
	b, err := os.ReadFile(Path(dir))
	if err != nil {
		f.Fatal(err)
	}
	for at := 0; at+pageSize <= len(b); at += pageSize {
		f.Add(b[at : at+pageSize])
	}
	f.Fuzz(func(t *testing.T, page []byte) {
		if len(page) > pageSize {
			page = page[:pageSize]
		}
		c := pageScanner{db: bytes.NewReader(b), bodies: map[int64][][]byte{}}
		c.leaf(page)
		for _, e := range c.lines {
			for _, sealed := range c.bodies[e.Row] {
				if e.Body = sealed; !e.genuine(keys) {
					continue
				}
				body, err := e.Open(keys)
				if w, ok := want[e.ID]; err != nil || !ok || !bytes.Equal(body, bodies[e.ID]) || e.Seq != w.Seq || e.Subject != w.Subject {
					t.Fatalf("a wrong record: %s", e.ID)
				}
			}
		}
	})
}
