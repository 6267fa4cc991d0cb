package faulttest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const ready = 20 * time.Second

// Cluster is nats-servers in this process, on loopback, synced before each
// acknowledgement as docs/cluster.md asks for.
type Cluster struct {
	Servers []*server.Server
	opts    []*server.Options
}

// NewCluster starts n servers with their stores under dir; change may alter the
// options of each before it starts, e.g. for users.
func NewCluster(dir string, n int, change func(*server.Options)) (*Cluster, error) {
	c := &Cluster{}
	ports, err := freePorts(2 * n)
	if err != nil {
		return nil, err
	}
	var routes []*url.URL
	for i := range n {
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", ports[n+i])})
	}
	for i := range n {
		o := &server.Options{
			ServerName: fmt.Sprintf("s%d", i+1), Host: "127.0.0.1", Port: ports[i],
			JetStream: true, StoreDir: filepath.Join(dir, fmt.Sprintf("s%d", i+1)), SyncAlways: true,
			NoSigs: true, NoLog: true, MaxPayload: 1 << 20,
		}
		if n > 1 {
			o.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[n+i]}
			o.Routes = routes
		}
		if change != nil {
			change(o)
		}
		c.opts = append(c.opts, o)
		c.Servers = append(c.Servers, nil)
		if err := c.Start(i); err != nil {
			c.Close()
			return nil, err
		}
	}
	for _, s := range c.Servers {
		if !s.ReadyForConnections(ready) {
			c.Close()
			return nil, errors.New("a server does not get ready")
		}
	}
	return c, nil
}

// Start starts server i, again if it was stopped, with the same store and ports.
func (c *Cluster) Start(i int) error {
	s, err := server.NewServer(c.opts[i].Clone())
	if err != nil {
		return err
	}
	s.Start()
	c.Servers[i] = s
	return nil
}

// Change alters server i's options for its next start.
func (c *Cluster) Change(i int, change func(*server.Options)) { change(c.opts[i]) }

// Reload applies server i's options while it runs.
func (c *Cluster) Reload(i int) error { return c.Servers[i].ReloadOptions(c.opts[i].Clone()) }

// Kill stops server i.
func (c *Cluster) Kill(i int) {
	c.Servers[i].Shutdown()
	c.Servers[i].WaitForShutdown()
}

// URL is every server's address, comma-separated.
func (c *Cluster) URL() string {
	var urls []string
	for _, o := range c.opts {
		urls = append(urls, fmt.Sprintf("nats://%s:%d", o.Host, o.Port))
	}
	return strings.Join(urls, ",")
}

// Addr is one server's host:port.
func (c *Cluster) Addr(i int) string {
	return net.JoinHostPort(c.opts[i].Host, fmt.Sprint(c.opts[i].Port))
}

// MakeStream makes a stream as soon as the cluster has a leader that can.
func (c *Cluster) MakeStream(ctx context.Context, config jetstream.StreamConfig, opts ...nats.Option) error {
	nc, err := nats.Connect(c.URL(), opts...)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	for {
		try, cancel := context.WithTimeout(ctx, 3*time.Second)
		_, err = js.CreateStream(try, config)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		wait(ctx, 100*time.Millisecond)
	}
}

// Leader is the server that leads the stream; -1 if none does now.
func (c *Cluster) Leader(stream string) int {
	for i, s := range c.Servers {
		if s.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream) {
			return i
		}
	}
	return -1
}

// Close stops what runs.
func (c *Cluster) Close() {
	for _, s := range c.Servers {
		if s != nil {
			s.Shutdown()
		}
	}
	for _, s := range c.Servers {
		if s != nil {
			s.WaitForShutdown()
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all stay taken until all are found
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
