package publisher

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"idtap/publisher/event"
	"idtap/publisher/outbox"
	"idtap/reader/identity"
)

func amended(t *testing.T, before event.Registration, changes ...event.FieldChange) (event.Registration, []event.FieldChange) {
	t.Helper()
	after, all, err := NewIntake(Options{Desk: testDesk(), Groups: testGroups}).amend(before, changes)
	if err != nil {
		t.Fatalf("amend(%v): %v", changes, err)
	}
	return after, all
}

func change(name, value string) event.FieldChange { return event.FieldChange{Field: name, New: value} }

func names(changes []event.FieldChange) string {
	list := make([]string, 0, len(changes))
	for _, c := range changes {
		list = append(list, c.Field)
	}
	return strings.Join(list, " ")
}

func TestCorrectionsWorkOutWhatFollows(t *testing.T) {
	before := NewRegistration(specimen(), testDesk())
	for _, tt := range []struct {
		name    string
		changes []event.FieldChange
		got     func(event.Registration) string
		want    string
		named   string
	}{
		{"age, groups", []event.FieldChange{change("person.birth_date", "1949-12-30"), change("document.number", "110105194912300024")},
			func(r event.Registration) string { return strings.Join(r.Residence.Groups, " ") }, "elder_65", "person.birth_date document.number"},
		{"a child", []event.FieldChange{change("person.birth_date", "2015-06-01"), change("document.number", "110105201506010024"),
			change("document.valid_from", "2024-01-01"), change("document.valid_to", "2029-01-01")},
			func(r event.Registration) string {
				if r.Person.Under14 && *r.Person.Age == 11 && r.Residence.Groups == nil {
					return "child of 11"
				}
				return "no child"
			}, "child of 11", "person.birth_date document.number document.valid_from document.valid_to document.long_term"},
		{"ref", []event.FieldChange{change("document.number", "110105194912310054"), change("person.sex", "1")},
			func(r event.Registration) string { return r.Person.Ref },
			event.PersonRef(testDesk().RefKey, "resident", "110105194912310054"), "document.number person.sex"},
		{"labels", []event.FieldChange{change("person.ethnic", "57")},
			func(r event.Registration) string {
				return r.Person.Ethnic.Code + r.Person.Ethnic.Label + r.Person.Ethnic.Raw
			}, "97其他57", "person.ethnic"},
		{"dot", []event.FieldChange{change("person.name", "买买提.吐尔逊")},
			func(r event.Registration) string { return r.Person.Name }, "买买提·吐尔逊", "person.name"},
		{"division", []event.FieldChange{change("hukou.division", "410105")},
			func(r event.Registration) string {
				return strings.Join(r.Hukou.Path, "") + r.Hukou.Confidence + r.Residence.Relation
			}, "河南省郑州市金水区fullsame_county", "hukou.division"},
		{"prefecture only", []event.FieldChange{change("hukou.division", "410100")},
			func(r event.Registration) string {
				return r.Hukou.Confidence + r.Residence.Relation + r.Quality.Status
			}, "partialunknownflagged", "hukou.division"},
		{"no division", []event.FieldChange{change("hukou.division", "")},
			func(r event.Registration) string {
				return r.Hukou.Confidence + r.Residence.Relation + strings.Join(r.Hukou.Path, "")
			}, "noneunknown", "hukou.division"},
		{"an address elsewhere moves the division", []event.FieldChange{change("hukou.address", "甘肃省靖远县样本路1号")},
			func(r event.Registration) string { return r.Hukou.Division + strings.Join(r.Hukou.Path, "") },
			"620421甘肃省白银市靖远县", "hukou.address hukou.division"},
		{"an end date", []event.FieldChange{change("document.valid_to", "2020-01-01")},
			func(r event.Registration) string { return r.Document.Status + r.Document.ValidTo.Date }, "expired2020-01-01",
			"document.valid_to document.long_term"},
	} {
		after, all := amended(t, before, tt.changes...)
		if got := tt.got(after); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if got := names(all); got != tt.named {
			t.Errorf("%s: changes %q, want %q", tt.name, got, tt.named)
		}
	}
	if before.Hukou.Division != "620422" || before.Residence.Groups[0] != "elder_65" {
		t.Error("amend changed the record it was given, want a copy changed")
	}
}

// Long-term and back: both members are named, so that "" cannot be taken for absent.
func TestValidToBecomesLongTermAndBack(t *testing.T) {
	before := NewRegistration(specimen(), testDesk())
	dated, there := amended(t, before, change("document.valid_to", "2030-01-01"))
	if dated.Document.LongTerm || dated.Document.ValidTo != (event.ValidTo{Date: "2030-01-01"}) {
		t.Errorf("after an end date: %+v, want it and not long-term", dated.Document.ValidTo)
	}
	again, back := amended(t, dated, change("document.long_term", "true"))
	if !again.Document.LongTerm || again.Document.ValidTo != (event.ValidTo{Null: true}) || again.Document.Status != "valid" {
		t.Errorf("after long-term: %+v %s, want null and valid", again.Document.ValidTo, again.Document.Status)
	}
	want := [][]event.FieldChange{
		{{Field: "document.valid_to", New: "2030-01-01"}, {Field: "document.long_term", Old: "true", New: "false"}},
		{{Field: "document.long_term", New: "true"}, {Field: "document.valid_to", Old: "2030-01-01"}},
	}
	for n, got := range [][]event.FieldChange{there, back} {
		if !slices.Equal(got, want[n]) {
			t.Errorf("changes %d = %s, want %s with old and new", n, names(got), names(want[n]))
		}
	}
}

// A clerk's decision about the division stands until an address says another county.
func TestADecidedDivisionStands(t *testing.T) {
	decided, _ := amended(t, NewRegistration(specimen(), testDesk()), change("hukou.division", "410105"))
	for address, want := range map[string]string{
		"甘肃省会宁县样本路2号": "410105", // the county that the clerk overruled
		"样本路2号":       "410105", // none
		"甘肃省靖远县样本路2号": "620421",
	} {
		after, _ := amended(t, decided, change("hukou.address", address))
		if after.Hukou.Division != want {
			t.Errorf("address %s: division %s, want %s", address, after.Hukou.Division, want)
		}
	}
}

func TestCorrectionsFollowTheRulesOfACard(t *testing.T) {
	for _, tt := range []struct {
		name, field string
		changes     []event.FieldChange
	}{
		{"check character", "document.number", []event.FieldChange{change("document.number", "110105194912310021")}},
		{"a permit's number", "document.number", []event.FieldChange{change("document.number", "ZZZ410085010105")}},
		{"born after the card began", "person.birth_date", []event.FieldChange{change("person.birth_date", "2011-01-01")}},
		{"no such day", "person.birth_date", []event.FieldChange{change("person.birth_date", "1949-02-30")}},
		{"ends before it begins", "document.valid_to", []event.FieldChange{change("document.valid_to", "2009-12-31")}},
		{"begins after its end", "document.valid_from", []event.FieldChange{change("document.valid_from", "2010-02-30")}},
		{"nobody's name", "person.name", []event.FieldChange{change("person.name", "··")}},
		{"no division", "hukou.division", []event.FieldChange{change("hukou.division", "999999")}},
		{"a division of the past", "hukou.division", []event.FieldChange{change("hukou.division", "330621")}},
		{"both ends", "document.valid_to", []event.FieldChange{change("document.valid_to", "2030-01-01"), change("document.long_term", "true")}},
		{"of another kind of card", "person.name_en", []event.FieldChange{change("person.name_en", "TEST")}},
	} {
		b := newBench(t, func(o *Options) { o.Groups = testGroups })
		tap := specimen()
		if tt.name == "both ends" {
			tap.Checked.LongTerm, tap.Checked.ValidTo = false, identity.Date{Year: 2029, Month: 1, Day: 1}
		}
		if err := b.Tap(t.Context(), tap); err != nil {
			t.Fatal(err)
		}
		_, err := b.Correct(t.Context(), "id-1", event.Operator{}, "reason", tt.changes)
		var refused *FieldError
		if !errors.As(err, &refused) || refused.Field != tt.field {
			t.Errorf("%s: %v, want a FieldError of %s", tt.name, err, tt.field)
		}
		if len(b.queue.records) != 1 {
			t.Errorf("%s: %d records, want the first alone", tt.name, len(b.queue.records))
		}
	}
}

// Warnings travel with the event; an old error in another field refuses nothing.
func TestFindingsOfACorrection(t *testing.T) {
	before := NewRegistration(specimen(
		identity.Finding{Code: identity.CodeNameTruncated, Severity: identity.Warn, Field: "person.name"},
		identity.Finding{Code: identity.CodeAddressTruncated, Severity: identity.Warn, Field: "hukou.printed_address"}), testDesk())
	after, _ := amended(t, before, change("person.name", "样本甲"))
	if got := strings.Join(codes(after.Quality.Findings), " "); got != "address_maybe_truncated" || after.Quality.Status != event.Flagged {
		t.Errorf("after the name: %s %s, want the address's finding, flagged", got, after.Quality.Status)
	}
	after, _ = amended(t, after, change("hukou.address", "甘肃省会宁县样本路3号"))
	if after.Quality.Status != event.Clean {
		t.Errorf("after the address: %s %v, want clean", after.Quality.Status, codes(after.Quality.Findings))
	}
	after, _ = amended(t, after, change("person.sex", "1"))
	if got := strings.Join(codes(after.Quality.Findings), " "); got != identity.CodeSexNumberMismatch || after.Quality.Status != event.Flagged {
		t.Errorf("a sex that the number contradicts: %s %s, want it flagged", got, after.Quality.Status)
	}

	wrong := specimen(identity.Finding{Code: identity.CodeNumberCheck, Severity: identity.Error, Field: "document.number"})
	wrong.Checked.Number = "110105194912310021"
	after, _ = amended(t, NewRegistration(wrong, testDesk()), change("person.name", "样本乙"))
	if after.Quality.Status != event.Unverified {
		t.Errorf("status %s, want unverified as before", after.Quality.Status)
	}
	if after, _ = amended(t, after, change("document.number", "11010519491231002X")); after.Quality.Status != event.Clean {
		t.Errorf("after the number: %s %v, want clean", after.Quality.Status, codes(after.Quality.Findings))
	}
}

// Whoever had the record hears of everything; the copies are one decision.
func TestEveryPlaceHearsOfIt(t *testing.T) {
	b := newBench(t, nil)
	if err := b.Tap(t.Context(), specimen()); err != nil {
		t.Fatal(err)
	}
	op := event.Operator{Name: "李", Authenticated: true}
	for _, division := range []string{"410105", "110105", "620422", ""} {
		if _, err := b.Correct(t.Context(), "id-1", op, "moved", []event.FieldChange{change("hukou.division", division)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Cancel(t.Context(), "id-1", op, "wrong_person", ""); err != nil {
		t.Fatal(err)
	}
	places := map[string][]string{}
	for _, r := range b.queue.records[1:] {
		var f struct {
			CopyOf    string              `json:"copy_of"`
			Divisions []string            `json:"hukou_divisions"`
			Record    *event.Registration `json:"record"`
		}
		if err := json.Unmarshal(r.Body, &f); err != nil {
			t.Fatal(err)
		}
		first := f.CopyOf
		if first == "" {
			first = r.ID
		}
		_, place, err := event.ParseSubject(r.Subject)
		if err != nil {
			t.Fatal(err)
		}
		places[first] = append(places[first], place.HukouDivision)
		if r.Type == event.CorrectedType && (f.Record == nil || f.Record.Desk.Seq != 1) {
			t.Errorf("%s: record %v, want the recorded data", r.ID, f.Record)
		}
		for _, d := range places[first] {
			if d != "" && !slices.Contains(f.Divisions, d) {
				t.Errorf("%s goes to %s but is about %v", r.ID, d, f.Divisions)
			}
		}
	}
	var got []string
	for _, id := range []string{"id-2", "id-4", "id-7", "id-10", "id-14"} {
		got = append(got, strings.Join(places[id], ","))
	}
	want := []string{"620422,410105", "620422,410105,110105", "620422,410105,110105", "620422,410105,110105,", "620422,410105,110105,"}
	if !slices.Equal(got, want) {
		t.Errorf("places per decision = %q, want %q", got, want)
	}
}

// A correction of version 0.1 has no record: what it says is folded in, and the
// next correction carries the whole.
func TestFoldsCorrectionsOfVersion01(t *testing.T) {
	b := newBench(t, nil)
	if err := b.Tap(t.Context(), specimen()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("event/testdata/v0.1/corrected.json")
	if err != nil {
		t.Fatal(err)
	}
	b.queue.records = append(b.queue.records, outbox.Record{Stamp: outbox.Stamp{ID: "old"}, Type: event.CorrectedType, Refers: "id-1", Body: text})
	data, err := b.Record(t.Context(), "id-1")
	if err != nil || data.Person.Name != "测试乙" || data.Hukou.Division != "410105" || data.Residence.Relation != "same_county" {
		t.Fatalf("Record = %s %v, %v, want the correction folded", data.Person.Name, data.Hukou, err)
	}
	if _, err := b.Confirm(t.Context(), "id-1", event.Operator{}); err != nil {
		t.Fatal(err)
	}
	if last := b.queue.records[len(b.queue.records)-1].Subject; !strings.HasSuffix(last, ".41.4101.410105") {
		t.Errorf("confirmed on %s, want the new place to hear of it", last)
	}
}

// The contract's closed list is what the desk corrects.
func TestSchemaListsTheFields(t *testing.T) {
	text, err := os.ReadFile("event/schema/" + event.CorrectedType + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties struct {
			Changes struct {
				Items struct {
					Properties struct{ Field struct{ Enum []string } }
				}
			}
		}
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	listed := schema.Properties.Changes.Items.Properties.Field.Enum
	for name := range fields {
		if !slices.Contains(listed, name) {
			t.Errorf("%s is correctable but not listed", name)
		}
	}
	if len(listed) != len(fields) {
		t.Errorf("%d fields listed, want %d", len(listed), len(fields))
	}
}
