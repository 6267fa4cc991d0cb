package event

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
)

// Programs in other languages, with libraries by others, verify and open sealed
// events and refuse changed ones: node's jose and Python's jwcrypto. They are part of
// the contract, so a missing one fails.
func TestOtherLibrariesOpen(t *testing.T) {
	for name, command := range map[string]func(*testing.T) *exec.Cmd{"node jose": nodeJose, "python jwcrypto": pythonJwcrypto} {
		t.Run(name, func(t *testing.T) {
			first, last := newKey(t), newKey(t)
			for n, keys := range map[int][]PrivateKey{1: {last}, 2: {first, last}} {
				m := message(t, keys...)
				out, err := runOpen(t, command(t), m)
				if err != nil || out != sealedText {
					t.Errorf("%d recipients: opened to %q, %v, want %q", n, out, err, sealedText)
				}
			}
			for change, f := range map[string]func(*openInput){
				"another subject": func(m *openInput) { m.Subject = strings.Replace(m.Subject, "620422", "620423", 1) },
				"not signed":      func(m *openInput) { delete(m.Headers, HeaderSigner); delete(m.Headers, HeaderSignature) },
				"another's key":   func(m *openInput) { resign(t, m, newSigner(t, 2)) },
				"another body":    func(m *openInput) { m.Body = message(t, last).Body },
				"too late":        func(m *openInput) { m.Headers[headerTime] = "2026-11-21T10:30:00.000Z"; resign(t, m, newSigner(t, 1)) },
				"another desk":    func(m *openInput) { m.Headers[headerSource] = Source("other", "front") },
				"a changed list":  func(m *openInput) { m.Trust = strings.Replace(m.Trust, "T10:30", "T11:30", 1) },
			} {
				m := message(t, first, last)
				f(&m)
				if out, err := runOpen(t, command(t), m); err == nil || out != "" {
					t.Errorf("%s: opened to %q, want refused", change, out)
				}
			}
			m := message(t, first)
			m.JWK = jwkOf(t, last)
			if out, err := runOpen(t, command(t), m); err == nil || out != "" {
				t.Errorf("with another key: opened to %q, want refused", out)
			}
		})
	}
}

const sealedText = `{"person":{"name":"测试甲·𠀀"},"valid_to":null}`

// openInput is what the scripts in testdata/open take.
type openInput struct {
	Headers map[string]string `json:"headers"`
	Subject string            `json:"subject"`
	Body    string            `json:"body"`
	JWK     json.RawMessage   `json:"jwk"`
	Trust   string            `json:"trust"` // signed list of the desks' keys
	By      string            `json:"by"`    // public nkey of who signed it
}

// resign signs what a message says with another key.
func resign(t *testing.T, m *openInput, s Signer) {
	t.Helper()
	h := map[string][]string{}
	for name, v := range m.Headers {
		h[name] = []string{v}
	}
	env, err := ParseEnvelope(h, m.Subject)
	if err != nil {
		t.Fatal(err)
	}
	env = s.Sign(env, []byte(m.Body))
	m.Headers[HeaderSigner], m.Headers[HeaderSignature] = env.Signer, env.Signature
}

// message is an event sealed to keys, to be opened with the last of them.
func message(t *testing.T, keys ...PrivateKey) openInput {
	t.Helper()
	env := testEnvelope()
	env.Content = ContentJOSE
	m := openInput{Headers: map[string]string{}, Subject: env.Subject, Body: string(sealTo(t, sealedText, env, keys...)), JWK: jwkOf(t, keys[len(keys)-1])}
	s := newSigner(t, 1)
	for name, v := range s.Sign(env, []byte(m.Body)).Headers() {
		m.Headers[name] = v[0]
	}
	admin := seed(t, nkeys.PrefixByteAccount, 9)
	list, err := trust(t, TrustedKey{Desk: "z", Key: newSigner(t, 2).Public(), From: signTime},
		TrustedKey{Desk: desk, Key: s.Public(), From: signTime, To: signTime.Add(time.Hour)}).Sign(admin, signTime)
	if err != nil {
		t.Fatal(err)
	}
	m.Trust, m.By = string(list), publicOf(t, admin)
	return m
}

func jwkOf(t *testing.T, k PrivateKey) []byte {
	t.Helper()
	text, err := k.JWK()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func runOpen(t *testing.T, cmd *exec.Cmd, m openInput) (string, error) {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = bytes.NewReader(text)
	out, err := cmd.Output()
	return string(out), err
}

func nodeJose(t *testing.T) *exec.Cmd { return node(t, "testdata/open/open.mjs", "jose") }

// node runs a script beside the pinned libraries that make test installs.
func node(t *testing.T, file, library string) *exec.Cmd {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("node is missing: apt-get install nodejs npm, or run make test, which installs it")
	}
	modules := os.Getenv("IDTAP_NODE_MODULES")
	if modules == "" {
		modules = "../../build/npm/node_modules"
	}
	if modules, err = filepath.Abs(modules); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, library)); err != nil {
		t.Fatalf("node's %s is missing in %s: run make test, which installs it (.ci/install test)", library, modules)
	}
	script, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, "--input-type=module", "--eval", string(script), "--")
	cmd.Dir = filepath.Dir(modules) // where imports are looked up
	return cmd
}

// pythonJwcrypto runs open.py with the first Python that has the library:
// Debian's may not be the first one found.
func pythonJwcrypto(t *testing.T) *exec.Cmd {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import jwcrypto").Run() == nil {
			return exec.Command(python, "testdata/open/open.py")
		}
	}
	t.Fatal("Python's jwcrypto is missing: apt-get install python3-jwcrypto, or run make test, which installs it")
	return nil
}
