package desk

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const registry = "https://registry.example"

// Who may ask for what, as requests look on the wire.
func TestGuard(t *testing.T) {
	d := serve(t, func(o *Options) { o.Origins = []string{registry} })
	d.board.tapped("a")
	own := "Origin: " + d.url
	host := strings.TrimPrefix(d.url, "http://")
	port := host[strings.LastIndex(host, ":"):]
	const state = "/api/v1/state"
	tests := []struct {
		name         string
		method, path string
		headers      []string
		status       int
		whole        bool // the body has the number
	}{
		{"a program", "GET", state, nil, 200, false},
		{"a program with the token", "GET", state, []string{bearer}, 200, true},
		{"a program with a wrong token", "GET", state, []string{"Authorization: Bearer wrong"}, 401, false},
		{"the page", "GET", state, []string{"Sec-Fetch-Site: same-origin", d.page()}, 200, false},
		{"the page with an origin", "POST", "/api/v1/registrations/a/reveal", []string{own, d.page()}, 200, true},
		{"by localhost", "GET", state, []string{"Host: localhost" + port}, 200, false},

		{"another origin", "GET", state, []string{"Origin: https://evil.example"}, 403, false},
		{"another origin with the token", "GET", state, []string{"Origin: https://evil.example", bearer}, 403, false},
		{"another port of this machine", "GET", state, []string{"Origin: http://127.0.0.1:1"}, 403, false},
		{"a sandboxed frame", "GET", state, []string{"Origin: null"}, 403, false},
		{"the own origin by https", "GET", state, []string{"Origin: https://" + host}, 403, false},
		{"an origin that begins alike", "GET", state, []string{"Origin: " + registry + ".evil.example", bearer}, 403, false},
		{"an allowed origin", "GET", state, []string{"Origin: " + registry}, 401, false},
		{"an allowed origin with the token", "GET", state, []string{"Origin: " + registry, bearer}, 200, true},

		{"an image on another site", "GET", state, []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"}, 403, false},
		{"a script on another port", "GET", state, []string{"Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: script"}, 403, false},
		{"a frame", "GET", "/", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}, 403, false},
		{"a link to the API", "GET", state, []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, 403, false},
		{"a link to the page", "GET", "/", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, 200, false},
		{"a form", "POST", "/api/v1/registrations/a/reveal", []string{"Origin: https://evil.example", "Content-Type: text/plain"}, 403, false},
		{"a form without an origin", "POST", "/api/v1/registrations/a/reveal", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, 403, false},
		{"a WebSocket", "GET", "/api/v1/events", []string{"Origin: https://evil.example", "Upgrade: websocket", "Connection: Upgrade"}, 403, false},

		{"a rebound name", "GET", state, []string{"Host: evil.example" + port}, 421, false},
		{"a rebound name with its origin", "GET", state, []string{"Host: evil.example" + port, "Origin: http://evil.example" + port}, 421, false},
		{"another port in the host", "GET", state, []string{"Host: 127.0.0.1:1"}, 421, false},
		{"another address", "GET", state, []string{"Host: 10.0.0.1" + port}, 421, false},
		{"no port", "GET", state, []string{"Host: localhost"}, 421, false},

		{"a change by GET", "GET", "/api/v1/registrations/a/confirm", []string{d.page()}, 405, false},
		{"a reveal without JSON", "POST", "/api/v1/registrations/a/reveal", []string{d.page(), "Content-Type: text/plain"}, 415, false},
		{"JSONP", "GET", state + "?callback=steal", nil, 200, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			body := ""
			if test.method == "POST" {
				body = "{}"
			}
			status, header, answer := d.ask(t, test.method, test.path, body, test.headers...)
			if status != test.status {
				t.Errorf("status %d, want %d: %s", status, test.status, answer)
			}
			if whole := strings.Contains(answer, "11010519491231002X"); whole != test.whole {
				t.Errorf("whole body: %v: %s", whole, answer)
			}
			if strings.Contains(answer, "steal") {
				t.Error("JSONP")
			}
			if allowed := header.Get("Access-Control-Allow-Origin"); allowed != "" && allowed != registry || header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("CORS for %q", allowed)
			}
			if header.Get("Cache-Control") != "no-store" || !strings.Contains(header.Get("Content-Security-Policy"), "frame-ancestors 'none'") ||
				header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers %v", header)
			}
		})
	}
}

func TestPreflight(t *testing.T) {
	d := serve(t, func(o *Options) { o.Origins = []string{registry} })
	ask := func(origin string) (int, http.Header) {
		status, header, _ := d.ask(t, "OPTIONS", "/api/v1/state", "", "Origin: "+origin, "Access-Control-Request-Method: GET",
			"Access-Control-Request-Headers: authorization", "Access-Control-Request-Private-Network: true")
		return status, header
	}
	status, h := ask(registry)
	if status != 204 || h.Get("Access-Control-Allow-Origin") != registry || h.Get("Access-Control-Allow-Private-Network") != "true" ||
		!strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") || h.Get("Vary") != "Origin" {
		t.Errorf("allowed: %d %v", status, h)
	}
	status, h = ask("https://evil.example")
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("another origin is told %s", name)
		}
	}
	if status != 403 {
		t.Errorf("another origin: %d", status)
	}
}

// Beyond loopback everything but the empty shell of the page wants the token.
func TestBeyondLoopback(t *testing.T) {
	cert, key := keyPair(t)
	b, clock := newBoard(t)
	s, err := NewServer(Options{Listen: "0.0.0.0:0", TokenFile: secretFile(t, token), CertFile: cert, KeyFile: key, Origins: []string{"https://desk.example"},
		Board: b, Decisions: &book{}, Clock: clock, Mask: true})
	if err != nil {
		t.Fatal(err)
	}
	b.tapped("a")
	ask := func(method, path string, headers ...string) (int, string) {
		r, err := http.NewRequest(method, "https://desk.example"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.RemoteAddr, r.TLS = "192.0.2.7:50000", &tls.ConnectionState{}
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		w := &recorder{header: http.Header{}, status: 200}
		s.ServeHTTP(w, r)
		return w.status, w.body.String()
	}
	if status, body := ask("GET", "/"); status != 200 || strings.Contains(body, "样") {
		t.Errorf("shell: %d %s", status, body)
	}
	if status, _ := ask("GET", "/assets/page.js"); status != 200 {
		t.Errorf("script: %d", status)
	}
	page := ticketHeader + ": " + s.sessions.ticket()
	for _, path := range []string{"/api/v1/state", "/api/v1/events", "/api/v1/openapi.yaml"} {
		if status, _ := ask("GET", path, page); status != 401 {
			t.Errorf("%s without the token: %d", path, status)
		}
	}
	if status, body := ask("GET", "/api/v1/state", page, bearer); status != 200 || !strings.Contains(body, "样**") || strings.Contains(body, "1949") {
		t.Errorf("the page with the token: %d %s", status, body)
	}
	if status, body := ask("GET", "/api/v1/state", bearer); status != 200 || !strings.Contains(body, "1949") {
		t.Errorf("a program with the token: %d %s", status, body)
	}
}

func TestServesTLS(t *testing.T) {
	cert, key := keyPair(t)
	d := serve(t, func(o *Options) { o.CertFile, o.KeyFile = cert, key })
	roots := x509.NewCertPool()
	b, err := os.ReadFile(cert)
	if err != nil || !roots.AppendCertsFromPEM(b) {
		t.Fatal("no certificate", err)
	}
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "desk.example"}}}
	defer client.CloseIdleConnections()
	answer, err := client.Get("https" + strings.TrimPrefix(d.url, "http") + "/api/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	head := make([]byte, 7)
	if _, err := io.ReadFull(answer.Body, head); err != nil || string(head) != "retry: " {
		t.Errorf("%s %q %v", answer.Status, head, err)
	}
}

func keyPair(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"desk.example"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pk}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
