package event

import (
	"encoding/json"
	"errors"
	"testing"
)

func TestMarshalCloudEvent(t *testing.T) {
	plain, sealed, status := testEnvelope(), testEnvelope(), testEnvelope()
	sealed.Content, sealed.Suite = ContentJOSE, SuiteP256
	status.Type, status.Subject, status.Seq, status.Epoch = StatusType, "idtap.status.v1.41.4101.410105.jinshui-wenhualu-03", 0, ""
	common := `"id":"` + testID + `","type":"idtap.registration.recorded.v1","source":"/idtap/jinshui-wenhualu-03/front","subject":"` + plain.Subject +
		`","time":"2026-11-21T09:30:00.120Z","sequence":"1841","epoch":"` + testEpoch + `","dataschema":"urn:idtap:schema:idtap.registration.recorded.v1",`
	for name, c := range map[string]struct {
		env  Envelope
		want string
	}{
		"plain":  {plain, `{"specversion":"1.0",` + common + `"datacontenttype":"application/json","data":{"a":1}}`},
		"sealed": {sealed, `{"specversion":"1.0",` + common + `"datacontenttype":"application/jose+json","suite":"` + SuiteP256 + `","data":{"a":1}}`},
		"status": {status, `{"specversion":"1.0","id":"` + testID + `","type":"idtap.reader.status.v1","source":"/idtap/jinshui-wenhualu-03/front","subject":"` +
			status.Subject + `","time":"2026-11-21T09:30:00.120Z","dataschema":"urn:idtap:schema:idtap.reader.status.v1","datacontenttype":"application/json","data":{"a":1}}`},
	} {
		if got, err := MarshalCloudEvent(c.env, []byte("{\n \"a\": 1}")); err != nil || string(got) != c.want || !json.Valid(got) {
			t.Errorf("%s: got %s, %v\nwant %s", name, got, err, c.want)
		}
	}
	if got, err := MarshalCloudEvent(plain, []byte(`{"name":"机密`)); !errors.Is(err, ErrData) || got != nil || err.Error() != "not the data of an idtap event: not JSON" {
		t.Errorf("MarshalCloudEvent(cut data) = %s, %v, want ErrData without the data", got, err)
	}
}
