package pagetest

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"idtap/publisher/desk"
	"idtap/reader"
)

const examples = "../../../examples/desk/"

const token = "synthetic-token-0123456789"

// The examples do what they say: masked without the token, whole with it.
func TestExamples(t *testing.T) {
	file := secret(t, token)
	for _, example := range []struct {
		name    string
		command []string
	}{
		{"Python", []string{"python3", examples + "taps.py"}},
		{"Go", []string{"go", "run", examples + "go"}},
	} {
		for _, with := range []struct{ token, want string }{{"", "样** other_province"}, {token, "样本甲 other_province"}} {
			t.Run(example.name+" "+with.want, func(t *testing.T) {
				r := newRig(t, func(o *desk.Options) { o.TokenFile = file })
				args := append(example.command[1:], r.url)
				if with.token != "" {
					args = append(args, with.token)
				}
				cmd := exec.CommandContext(t.Context(), example.command[0], args...)
				cmd.Stderr = os.Stderr
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				r.tap(accepted("a1", "样本甲"))
				line, err := bufio.NewReader(out).ReadString('\n')
				if err != nil || strings.TrimSpace(line) != with.want {
					t.Errorf("%q %v, want %q", line, err, with.want)
				}
				r.stop() // the stream ends, and the example with it
				cmd.Wait()
			})
		}
	}
}

// A page of an allowed origin reads taps with the token, and nothing without.
func TestExamplePage(t *testing.T) {
	page, err := os.ReadFile(examples + "taps.html")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := l.Addr().String()
	l.Close()
	origin := elsewhere(t, map[string]string{"/taps.html": strings.ReplaceAll(string(page), "127.0.0.1:7643", listen)})
	file := secret(t, token)
	r := newRig(t, func(o *desk.Options) { o.Listen, o.TokenFile, o.Origins = listen, file, []string{origin} })
	r.phase("front", reader.Ready)
	b := newTab(t, origin+"/taps.html#"+token)
	b.wait(`document.getElementById("taps")`)
	r.tap(accepted("a1", "样本甲"))
	b.wait(`document.querySelector("li").innerText === "样本甲"`)
	if got := eval[int](b, `fetch(`+quote(r.url+"/api/v1/state")+`).then((r) => r.status)`); got != 401 {
		t.Errorf("without the token: %d", got)
	}
}
