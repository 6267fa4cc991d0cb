package desk

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"idtap/publisher"
	"idtap/publisher/event"
	"idtap/publisher/outbox"
)

//go:embed openapi.yaml
var openAPI []byte

// decideWithin bounds one decision: an fsync on a slow disk and some.
const decideWithin = 10 * time.Second

const maxText = 200 // characters of a reason, a note, an operator's name

var idPattern = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

// Problem is the body of every error answer. The code is the contract; nothing
// in it is personal.
type Problem struct {
	Error string `json:"error"`
	Field string `json:"field,omitempty"` // which part of the request is wrong
}

// Settled is the answer to a decision.
type Settled struct {
	ID       string         `json:"id"`               // of the new event
	Refers   string         `json:"refers,omitempty"` // the recorded event it is about
	Type     string         `json:"type"`             // CloudEvents type
	At       event.Time     `json:"at"`
	Operator event.Operator `json:"operator"`
}

// Revealed is the answer to a reveal.
type Revealed struct {
	ID   string             `json:"id"`
	Data event.Registration `json:"data"`
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, code string) {
	reply(w, status, Problem{Error: code})
}

func serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml; charset=utf-8")
	w.Write(openAPI)
}

func (s *Server) getState(w http.ResponseWriter, r *http.Request) {
	full := s.seesAll(callerOf(r))
	if full && callerOf(r).ticket == "" && !s.stateAudited(w, r) {
		return
	}
	reply(w, http.StatusOK, s.o.Board.state(s.o.Board.snapshot(), full))
}

// stateEvery is how often it is written down that a program asks for the state,
// which it may do each second.
const stateEvery = time.Hour

// stateAudited writes down that a program receives whole bodies, once in a while.
func (s *Server) stateAudited(w http.ResponseWriter, r *http.Request) bool {
	now, last := s.o.Clock.Now().UnixNano(), s.asked.Load()
	if last != 0 && time.Duration(now-last).Abs() < stateEvery {
		return true
	}
	if !s.audited(w, r, "state") {
		return false
	}
	s.asked.Store(now)
	return true
}

// seesAll reports whether a caller gets personal fields unasked: a program with
// the token, or the page where desk_page.mask is off and operators have no PINs.
func (s *Server) seesAll(c caller) bool {
	if c.ticket != "" {
		return !s.o.Mask && s.o.PINFile == ""
	}
	return c.token
}

// mayReveal reports whether a caller may be shown personal fields on request.
// Where operators have PINs, a page must be signed in: any program on this
// machine can load a page as a clerk does.
func (s *Server) mayReveal(c caller) bool {
	if c.ticket != "" {
		return s.o.PINFile == "" || c.operator.Authenticated
	}
	return c.token
}

// changing wraps the handlers that change something: only our own page or a
// program with the token, JSON only, bounded.
func (s *Server) changing(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if c := callerOf(r); c.ticket == "" && !c.token {
			code := "token_required"
			if r.Header.Get(ticketHeader) != "" {
				code = "stale_page" // of an earlier start of the daemon: load it anew
			}
			refuse(w, http.StatusForbidden, code)
			return
		}
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			refuse(w, http.StatusUnsupportedMediaType, "want_json")
			return
		}
		if id := r.PathValue("id"); id != "" && !idPattern.MatchString(id) {
			refuse(w, http.StatusNotFound, "not_found")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		ctx, cancel := context.WithTimeout(r.Context(), decideWithin)
		defer cancel()
		h(w, r.WithContext(ctx))
	}
}

// decode reads a JSON body; what it does not know is an error.
func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return true
	case errors.As(err, &large):
		refuse(w, http.StatusRequestEntityTooLarge, "body_too_large")
	default:
		refuse(w, http.StatusBadRequest, "bad_json")
	}
	return false
}

// audited writes the audit line first: what is not written down is not done.
func (s *Server) audited(w http.ResponseWriter, r *http.Request, what string) bool {
	err := s.o.Decisions.Audit(r.Context(), who(callerOf(r)), what, r.PathValue("id"))
	if err != nil {
		s.o.Log.Error().Err(err).Str("what", what).Msg("desk page: audit line")
		refuse(w, http.StatusInternalServerError, "audit_failed")
	}
	return err == nil
}

// who names a caller in the audit: a signed-in operator, a page on which nobody
// signed in, or a program with the token.
func who(c caller) string {
	switch {
	case c.operator.Authenticated:
		return "operator:" + c.operator.Name
	case c.ticket != "":
		return "page:not signed in"
	}
	return "program:token"
}

func (s *Server) postReveal(w http.ResponseWriter, r *http.Request) {
	if !decode(w, r, &struct{}{}) || !s.revealing(w, r, "reveal") {
		return
	}
	data, ok := s.record(w, r)
	if ok {
		reply(w, http.StatusOK, Revealed{ID: r.PathValue("id"), Data: data})
	}
}

// revealing checks and audits that personal fields are about to be shown.
func (s *Server) revealing(w http.ResponseWriter, r *http.Request, what string) bool {
	switch {
	case !s.mayReveal(callerOf(r)):
		refuse(w, http.StatusForbidden, "sign_in_required")
		return false
	case !s.reveals.Allow():
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, "too_many_requests")
		return false
	}
	return s.audited(w, r, what)
}

// record finds a tap's data: on the board while it is there, else in the queue.
func (s *Server) record(w http.ResponseWriter, r *http.Request) (event.Registration, bool) {
	id := r.PathValue("id")
	if t := s.o.Board.lookup(id); t != nil && t.person != nil && t.decided == "" {
		return *t.person, true
	}
	data, err := s.o.Decisions.Record(r.Context(), id)
	if err != nil {
		s.failed(w, err)
		return event.Registration{}, false
	}
	return data, true
}

func (s *Server) postPhoto(w http.ResponseWriter, r *http.Request) {
	if !decode(w, r, &struct{}{}) {
		return
	}
	t := s.o.Board.lookup(r.PathValue("id"))
	if s.photos == nil || t == nil || len(t.photo) == 0 {
		refuse(w, http.StatusNotFound, "no_photo")
		return
	}
	if !s.revealing(w, r, "photo") {
		return
	}
	png, err := s.photos.decode(r.Context(), t.photo)
	if err != nil {
		s.o.Log.Warn().Err(err).Msg("desk page: photo decoder")
		refuse(w, http.StatusBadGateway, "photo_decoder")
		return
	}
	w.Header().Set("Content-Type", "image/png")
	w.Write(png)
}

// operator is who a decision is put down to: who signed in, else the name that
// the body gives or the desk's own, not authenticated.
func operator(c caller, name string) event.Operator {
	if !c.operator.Authenticated && name != "" {
		return event.Operator{Name: name}
	}
	return c.operator
}

func (s *Server) postConfirm(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Operator string `json:"operator"`
	}
	if !decode(w, r, &body) || !plain(w, "operator", body.Operator, 0, maxText) || !s.audited(w, r, "confirm") {
		return
	}
	id, op := r.PathValue("id"), operator(callerOf(r), body.Operator)
	u, err := s.o.Decisions.Confirm(r.Context(), id, op)
	if errors.Is(err, outbox.ErrNotFound) { // not recorded: quarantined, then
		var t publisher.Tapped
		t, err = s.o.Decisions.Release(r.Context(), id, op)
		u = publisher.FollowUp{ID: t.ID, Type: event.RecordedType, At: t.At}
	}
	s.settled(w, u, op, err)
}

func (s *Server) postCorrect(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Operator string `json:"operator"`
		Reason   string `json:"reason"`
		Changes  []struct {
			Field string `json:"field"`
			New   string `json:"new"`
		} `json:"changes"`
	}
	switch {
	case !decode(w, r, &body):
		return
	case !plain(w, "operator", body.Operator, 0, maxText), !plain(w, "reason", body.Reason, 1, maxText):
		return
	case len(body.Changes) == 0:
		reply(w, http.StatusBadRequest, Problem{"bad_request", "changes"})
		return
	case !s.audited(w, r, "correct"):
		return
	}
	changes := make([]event.FieldChange, 0, len(body.Changes))
	for _, c := range body.Changes {
		changes = append(changes, event.FieldChange{Field: c.Field, New: c.New}) // the old value is the record's
	}
	op := operator(callerOf(r), body.Operator)
	u, err := s.o.Decisions.Correct(r.Context(), r.PathValue("id"), op, body.Reason, changes)
	s.settled(w, u, op, err)
}

func (s *Server) postCancel(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Operator string `json:"operator"`
		Reason   string `json:"reason"`
		Note     string `json:"note"`
	}
	if !decode(w, r, &body) || !plain(w, "operator", body.Operator, 0, maxText) || !plain(w, "note", body.Note, 0, maxText) {
		return
	}
	if !s.audited(w, r, "cancel") {
		return
	}
	op := operator(callerOf(r), body.Operator)
	u, err := s.o.Decisions.Cancel(r.Context(), r.PathValue("id"), op, body.Reason, body.Note)
	s.settled(w, u, op, err)
}

// settled answers a decision that the queue has taken or refused.
func (s *Server) settled(w http.ResponseWriter, u publisher.FollowUp, op event.Operator, err error) {
	if err != nil {
		s.failed(w, err)
		return
	}
	reply(w, http.StatusOK, Settled{ID: u.ID, Refers: u.Refers, Type: u.Type, At: at(u.At, s.o.Board.o.Zone), Operator: op})
}

// refusals are the errors of decisions that the clerk can be told about.
var refusals = []struct {
	err    error
	status int
	code   string
}{
	{outbox.ErrNotFound, http.StatusNotFound, "not_found"},
	{publisher.ErrNotRecord, http.StatusNotFound, "not_found"},
	{publisher.ErrErased, http.StatusGone, "erased"},
	{publisher.ErrCancelled, http.StatusConflict, "cancelled"},
	{publisher.ErrUnverified, http.StatusConflict, "not_verified"},
	{publisher.ErrField, http.StatusBadRequest, "bad_field"},
	{publisher.ErrReason, http.StatusBadRequest, "bad_reason"},
	{outbox.ErrFull, http.StatusInsufficientStorage, "queue_full"},
}

// failed answers what the queue did not take.
func (s *Server) failed(w http.ResponseWriter, err error) {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			var field string
			if f := (*publisher.FieldError)(nil); errors.As(err, &f) {
				field = f.Field
			}
			reply(w, r.status, Problem{r.code, field})
			return
		}
	}
	s.o.Log.Error().Err(err).Msg("desk page: the queue did not take it")
	refuse(w, http.StatusInternalServerError, "queue_failed")
}

// plain checks a text of a request: its length in characters, and that nothing
// in it steers a terminal.
func plain(w http.ResponseWriter, field, text string, least, most int) bool {
	if n := utf8.RuneCountInString(strings.TrimSpace(text)); n < least || n > most || !printable(text) {
		reply(w, http.StatusBadRequest, Problem{"bad_request", field})
		return false
	}
	return true
}

func printable(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) < 0
}
