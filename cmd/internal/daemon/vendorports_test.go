package daemon

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"idtap/publisher"
)

// A page of a listed origin reads the card that lies on the desk's reader
// through the vendor's port; the record is published as ever.
func TestVendorPortOfADesk(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	d := runDesk(t, "readers: [{name: front, driver: mock}]\nvendor_ports: {cvr: \""+address+"\", origins: [\"http://his.example.cn\"], answer_tests: true}\n")
	for {
		if tap := <-d.taps; tap.Outcome == publisher.Accepted {
			break
		}
	}
	ask := func(origin string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/readcard&t=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", origin)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	if code, body := ask("http://his.example.cn"); code != http.StatusOK || !strings.Contains(body, `"resultFlag" : `) {
		t.Errorf("a listed page is answered %d %q, want an answer of the vendor's form", code, body)
	}
	if code, body := ask("http://evil.example"); code != http.StatusForbidden || strings.Contains(body, "certNumber") {
		t.Errorf("another page is answered %d %q, want 403", code, body)
	}
}
