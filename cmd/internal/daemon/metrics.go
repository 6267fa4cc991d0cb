package daemon

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"idtap/publisher/bus"
	"idtap/publisher/outbox"
	"idtap/publisher/vendorports"
	"idtap/reader"
)

// monitor answers how the desk is, from what the parts know. As a collector of
// metrics it asks them at each scrape; docs/alerts.yaml has rules on those.
type monitor struct {
	states  *states
	queue   *outbox.Queue
	bus     *bus.Bus
	zone    *time.Location
	deskID  string
	version string
	read    prometheus.Histogram
	vendor  atomic.Pointer[vendorports.Ports] // nil without them
}

func (m *monitor) tapped(t reader.Tap) { m.read.Observe(t.ReadTime.Seconds()) }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("idtap_"+name, help, labels, nil)
}

var (
	descBuild       = describe("build_info", "1; the version is in the label.", "version")
	descReaderUp    = describe("reader_up", "Whether the reader takes cards.", "reader")
	descReaderTaps  = describe("reader_taps_total", "Cards read and handed on.", "reader")
	descReaderReads = describe("reader_reads_total", "Whole reads, second ones included.", "reader")
	descReaderLine  = describe("reader_line_errors_total", "Damaged or foreign bytes seen on the reader's line, by event.", "reader")
	descReaderUnity = describe("reader_disagreements_total", "Pairs of reads of one card that differed.", "reader")
	descReaderAgain = describe("reader_reopened_total", "Times the reader was opened again after it was lost.", "reader")
	descTaps        = describe("taps_total", "Taps by outcome.", "outcome")

	descWaiting    = describe("queue_waiting", "Accepted events that are not delivered.")
	descOldest     = describe("queue_oldest_age_seconds", "Age of the oldest undelivered event; 0 if none waits.")
	descDead       = describe("queue_dead", "Events that cannot be published.")
	descQuarantine = describe("queue_quarantined", "Taps with error findings that are still kept.")
	descBytes      = describe("queue_size_bytes", "Size of the queue on disk.")
	descMaxBytes   = describe("queue_limit_bytes", "Bound of the queue, outbox.max_bytes.")
	descFree       = describe("queue_disk_free_bytes", "Free space on the queue's disk.")
	descFull       = describe("queue_full", "Whether taps are refused for lack of room.")
	descDamaged    = describe("queue_damaged", "Whether a damaged queue was set aside and still lies there.")

	descConnected  = describe("bus_connected", "Whether the connection to the bus is up.")
	descDelivering = describe("bus_delivering", "Whether nothing stands between the queue and the stream.")
	descLocal      = describe("bus_local", "Whether events are kept on this desk only, in the embedded server.")
	descProblem    = describe("bus_problem", "1 for each problem; docs/codes.md explains the codes.", "code")
	descAcked      = describe("bus_acknowledged_total", "Events that the stream acknowledged.")
	descConnects   = describe("bus_connects_total", "Connections made.")
	descLastAck    = describe("bus_last_acknowledged_timestamp_seconds", "When the stream last acknowledged an event.")
	descVendor     = describe("vendor_port_answers_total", "Answers and refusals of the vendor-compatible ports.", "port", "result")
	descExpiry     = describe("bus_expiry_timestamp_seconds", "When a certificate or the credentials end.", "what")
)

func newMonitor(s *states, q *outbox.Queue, b *bus.Bus, zone *time.Location, deskID, version string) *monitor {
	return &monitor{states: s, queue: q, bus: b, zone: zone, deskID: deskID, version: version, read: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "idtap_read_duration_seconds",
		Help: "From finding a card to the last byte of the read that counts.", Buckets: []float64{0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10}})}
}

// Describe implements prometheus.Collector.
func (m *monitor) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect implements prometheus.Collector.
func (m *monitor) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(descBuild, 1, m.version)
	for _, s := range m.states.list() {
		gauge(descReaderUp, number(takesCards(s)), s.Reader)
		counter(descReaderTaps, s.Counts.Taps, s.Reader)
		counter(descReaderReads, s.Counts.Reads, s.Reader)
		counter(descReaderLine, s.Counts.LineErrors, s.Reader)
		counter(descReaderUnity, s.Counts.Disagreed, s.Reader)
		counter(descReaderAgain, s.Counts.Reopened, s.Reader)
	}
	for outcome, n := range m.states.counts() {
		counter(descTaps, n, string(outcome))
	}
	m.read.Collect(ch)
	if s, err := m.queueStats(); err == nil {
		gauge(descWaiting, float64(s.Undelivered()))
		oldest := 0.0
		if !s.Oldest.IsZero() {
			oldest = max(time.Since(s.Oldest).Seconds(), 0)
		}
		gauge(descOldest, oldest)
		gauge(descDead, float64(s.Dead))
		gauge(descQuarantine, float64(s.Quarantined))
		gauge(descBytes, float64(s.Bytes))
		gauge(descMaxBytes, float64(s.MaxBytes))
		gauge(descFree, float64(s.FreeBytes))
		gauge(descFull, number(s.Full))
		gauge(descDamaged, number(s.Fault != ""))
	}
	if v := m.vendor.Load(); v != nil {
		for c, n := range v.Counts() {
			counter(descVendor, n, c.Port, c.Result)
		}
	}
	h := m.bus.Health()
	gauge(descConnected, number(h.Connected))
	gauge(descDelivering, number(h.Delivering()))
	gauge(descLocal, number(h.Local))
	codes := map[string]bool{}
	if h.Code != "" {
		codes[string(h.Code)] = true
	}
	for _, p := range h.Warnings() {
		codes[string(p.Code)] = true
	}
	for code := range codes {
		gauge(descProblem, 1, code)
	}
	counter(descAcked, h.Acked)
	counter(descConnects, h.Connects)
	if !h.LastAck.IsZero() {
		gauge(descLastAck, float64(h.LastAck.Unix()))
	}
	for what, at := range map[string]time.Time{"client_certificate": h.CertExpiry, "server_certificate": h.ServerCertExpiry, "credentials": h.CredsExpiry} {
		if !at.IsZero() {
			gauge(descExpiry, float64(at.Unix()), what)
		}
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// takesCards reports whether a card placed now would be read.
func takesCards(s reader.State) bool {
	switch s.Phase {
	case reader.Ready, reader.Found, reader.Reading, reader.Held, reader.PlaceAgain, reader.NotID, reader.Unreadable:
		return true
	}
	return false
}

// queueWait bounds a question to the queue.
const queueWait = 2 * time.Second

func (m *monitor) queueStats() (outbox.Stats, error) {
	ctx, cancel := context.WithTimeout(context.Background(), queueWait)
	defer cancel()
	return m.queue.Stats(ctx)
}

// handlers are the paths for monitoring on the page's listener.
func (m *monitor) handlers() map[string]http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return map[string]http.Handler{
		"/metrics": promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2, Timeout: 5 * time.Second}),
		"/healthz": answerProbe(m.alive),
		"/readyz":  answerProbe(m.ready),
	}
}

// answerProbe answers 200, or 503 with the codes of what is wrong.
func answerProbe(problems func() []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer := struct {
			Status   string   `json:"status"`
			Problems []string `json:"problems,omitempty"`
		}{"ok", problems()}
		w.Header().Set("Content-Type", "application/json")
		if len(answer.Problems) > 0 {
			answer.Status = "unavailable"
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		json.NewEncoder(w).Encode(answer)
	})
}

// alive is what a restart could mend: the queue does not answer.
func (m *monitor) alive() []string {
	if _, err := m.queueStats(); err != nil {
		return []string{"queue_failed"}
	}
	return nil
}

// ready is why a tap made now would not count.
func (m *monitor) ready() []string {
	var problems []string
	if s, err := m.queueStats(); err != nil {
		problems = append(problems, "queue_failed")
	} else if s.Full {
		problems = append(problems, "queue_full")
	}
	for _, s := range m.states.list() {
		if takesCards(s) {
			return problems
		}
	}
	return append(problems, reader.None.Code)
}
