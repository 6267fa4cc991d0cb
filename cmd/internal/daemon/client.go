package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"idtap/driver/diagnosis"
)

// Client asks a running daemon.
type Client struct {
	http    *http.Client
	Runtime Runtime
}

// Dial finds the daemon that left a runtime file and answers on its socket.
func Dial(ctx context.Context, runtimeFile string) (*Client, bool) {
	r, err := ReadRuntime(runtimeFile)
	if errors.Is(err, fs.ErrPermission) { // a technician of the service's group
		r, err = Runtime{Control: packagedControl(runtimeFile)}, nil
	}
	if err != nil || r.Control == "" {
		return nil, false
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return dialControl(ctx, r.Control) }
	conn, err := dial(ctx, "", "")
	if err != nil {
		return nil, false
	}
	conn.Close()
	return &Client{&http.Client{Transport: &http.Transport{DialContext: dial}}, r}, true
}

// aliveWithin is how long a daemon may take to say that it lives: the system
// takes connections for a process that is stopped, too.
const aliveWithin = 1500 * time.Millisecond

// Alive reports whether the daemon answers at all.
func (c *Client) Alive(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, aliveWithin)
	defer cancel()
	body, err := c.ask(ctx, http.MethodGet, "/alive", nil, nil)
	if err != nil {
		return false
	}
	return body.Close() == nil
}

func (c *Client) ask(ctx context.Context, method, path string, query url.Values, body io.Reader) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://idtap"+path+"?"+query.Encode(), body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return nil, err
	}
	return nil, errors.New(strings.TrimSpace(string(text)))
}

// reportGrace is what a daemon's answer may take beyond its diagnosis.
const reportGrace = 3 * time.Second

// Report asks for a diagnosis, of one reader or "" for all; with tap, a test tap
// follows it.
func (c *Client) Report(ctx context.Context, reader string, tap bool) (diagnosis.Report, error) {
	query, limit := url.Values{"reader": {reader}}, diagnosis.Limit+reportGrace
	if tap {
		query.Set("tap", "1")
		limit += TapWait
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	body, err := c.ask(ctx, http.MethodGet, "/report", query, nil)
	if err != nil {
		return diagnosis.Report{}, err
	}
	defer body.Close()
	var r diagnosis.Report
	err = json.NewDecoder(body).Decode(&r)
	return r, err
}

// Capture asks for a recording of what passes on a reader's wire, until the
// context ends. Who is written down if the recording holds personal data.
func (c *Client) Capture(ctx context.Context, name, who string, personal bool, w io.Writer) error {
	query := url.Values{"reader": {name}, "who": {who}}
	if personal {
		query.Set("personal", "1")
	}
	open, shut := io.Pipe()
	whole, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		shut.Close()
		time.AfterFunc(captureTail, cancel)
	})
	defer stop()
	body, err := c.ask(whole, http.MethodPost, "/capture", query, open)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(w, body)
	return err
}
