package event

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"idtap/driver"
	"idtap/reader"
	"idtap/reader/card"
	"idtap/reader/identity"
)

var update = flag.Bool("update", false, "write testdata/*.json anew")

var shanghai = time.FixedZone("CST", 8*3600)

func testDesk() DeskFacts {
	return DeskFacts{ID: "jinshui-wenhualu-03", Division: "410105", Role: "inflow", Zone: shanghai, RefKey: []byte("a key for tests only")}
}

func testTap(kind card.Kind) reader.Tap {
	c := identity.Checked{Kind: kind, Validity: identity.Valid, Findings: []identity.Finding{}}
	switch kind {
	case card.Resident:
		c.Number, c.Name = "11010519491231002X", "测试甲"
		c.Authority, c.ValidFrom, c.LongTerm = "测试市公安局", identity.Date{Year: 2010, Month: 1, Day: 1}, true
		c.Sex, c.Ethnic = identity.Code{Code: "2", Label: "女"}, identity.Code{Code: "01", Label: "汉"}
		c.Birth, c.Age = identity.Date{Year: 1949, Month: 12, Day: 31}, 76
		c.PrintedAddress, c.HukouAddress = "甘肃省会宁县测试镇旧村1号", "甘肃省会宁县测试镇新村2号"
		c.Appended = []string{"甘肃省会宁县测试镇新村2号"}
		c.Division, c.Path, c.Confidence = "620422", []string{"甘肃省", "白银市", "会宁县"}, identity.Full
		c.Relation, c.Groups = identity.OtherProvince, []string{"elder_65"}
	case card.HMTPermit:
		c.Number, c.Name = "810000199408230021", "测试乙"
		c.Authority = "测试市公安局"
		c.ValidFrom, c.ValidTo = identity.Date{Year: 2024, Month: 3, Day: 27}, identity.Date{Year: 2029, Month: 3, Day: 27}
		c.Sex, c.Birth, c.Age = identity.Code{Code: "2", Label: "女"}, identity.Date{Year: 1994, Month: 8, Day: 23}, 32
		c.PassNumber, c.IssueCount, c.CardAddress = "H12345678", "01", "河南省郑州市金水区测试路3号"
		c.Relation = identity.HMT
	case card.ForeignPR2017:
		c.Number, c.Name, c.NameEn, c.Nationality = "ZZZ410085010105", "测试丙", "TEST, PERSON C", "ZZZ"
		c.ValidFrom, c.ValidTo = identity.Date{Year: 2018, Month: 5, Day: 2}, identity.Date{Year: 2028, Month: 5, Day: 2}
		c.Sex, c.Birth, c.Age = identity.Code{Code: "1", Label: "男"}, identity.Date{Year: 1985, Month: 1, Day: 1}, 41
		c.Relation = identity.Foreign
	case card.ForeignPR2023:
		c.Number, c.NameEn, c.Nationality = "932682198501010017", "TEST, PERSON D", "ZZZ"
		c.Renewals, c.OldNumber = "01", "ZZZ320085010107"
		c.ValidFrom, c.ValidTo = identity.Date{Year: 2024, Month: 2, Day: 29}, identity.Date{Year: 2034, Month: 3, Day: 1}
		c.Sex, c.Birth, c.Age = identity.Code{Code: "1", Label: "男"}, identity.Date{Year: 1985, Month: 1, Day: 1}, 41
		c.Relation = identity.Foreign
		c.Findings = []identity.Finding{{Code: "pr_nationality_mismatch", Severity: identity.Warn, Field: "person.nationality"}}
	}
	return reader.Tap{Reader: "front", FoundAt: time.Date(2026, 11, 21, 9, 29, 59, 400e6, time.UTC), ReadTime: 612 * time.Millisecond, Checked: c}
}

// accept fills in what the queue decides.
func accept(r Registration, seq uint64) Registration {
	r.Desk.Epoch, r.Desk.Seq = testEpoch, seq
	r.Timing.AcceptedAt = Time{time.Date(2026, 11, 21, 17, 30, 0, 120e6, shanghai)}
	return r
}

// goldens are real events of every kind, made the way the daemon makes them.
// The file name begins with the event's token.
func goldens() map[string]any {
	full := testTap(card.Resident)
	full.Checked.Name, full.Checked.NameRaw = "测\ue863丁", "6D4BE8634E01"
	full.Checked.Birth, full.Checked.Age, full.Checked.Under14 = identity.Date{Year: 2015, Month: 6, Day: 1}, 11, true
	full.Checked.Ethnic = identity.Code{Code: "97", Label: "其他", Raw: "57"}
	full.Checked.Groups = []string{"child_0_14", "pupil"}
	full.Checked.LongTerm, full.Checked.ValidTo = false, identity.Date{Year: 2025, Month: 6, Day: 1}
	full.Checked.Validity = identity.Expired
	full.Checked.Findings = []identity.Finding{
		{Code: "name_private_use", Severity: identity.Warn, Field: "person.name", Detail: "unit 2"},
		{Code: "card_expired", Severity: identity.Warn, Field: "document.valid_to"},
		{Code: "clock_untrusted", Severity: identity.Warn, Field: "timing.clock"},
	}
	full.Verified = true
	full.Photo = append([]byte("WLf\x00~\x00"), bytes.Repeat([]byte{0}, 1018)...)
	desk := testDesk()
	desk.Unit, desk.Operator, desk.LegalBasis, desk.NoticeVersion = "410105001", "测试员", "duty", "2026-01"
	desk.Test, desk.EmbedPhoto, desk.Role = true, true, "both"
	everything := accept(NewRegistration(full, desk), 7)
	everything.Stay = &Stay{Address: "河南省郑州市金水区测试路4号", Phone: "00000000000", ArrivedOn: "2026-05-01", Reason: "work"}

	unresolved := testTap(card.Resident)
	unresolved.Checked.Division, unresolved.Checked.Path, unresolved.Checked.Confidence = "", nil, ""
	unresolved.Checked.Relation, unresolved.Checked.Validity, unresolved.Checked.Groups = "", "", nil
	unresolved.Checked.Appended, unresolved.Checked.Age, unresolved.Checked.Findings = nil, -1, nil

	d := Desk{ID: "jinshui-wenhualu-03", Reader: "front", Epoch: testEpoch, Seq: 1842}
	clerk := Operator{Name: "测试员", Authenticated: true}
	at := Time{time.Date(2026, 11, 21, 17, 31, 5, 0, shanghai)}
	status, _ := NewReaderStatus(testDesk(), reader.State{Reader: "front", Phase: reader.Away, Since: at.Time,
		Identity: driver.Identity{Model: "mock", SAM: "05.01-20120411-0002011994-0000000000"}})
	return map[string]any{
		"recorded-resident":        accept(NewRegistration(testTap(card.Resident), testDesk()), 1841),
		"recorded-hmt_permit":      accept(NewRegistration(testTap(card.HMTPermit), testDesk()), 1),
		"recorded-foreign_pr_2017": accept(NewRegistration(testTap(card.ForeignPR2017), testDesk()), 2),
		"recorded-foreign_pr_2023": accept(NewRegistration(testTap(card.ForeignPR2023), testDesk()), 3),
		"recorded-everything":      everything,
		"recorded-unresolved":      accept(NewRegistration(unresolved, testDesk()), 4),
		"confirmed":                Confirmed{Refers: testID, Desk: d, HukouDivisions: []string{"620422"}, Operator: clerk, At: at},
		"corrected": Corrected{Refers: testID, Desk: d, HukouDivisions: []string{"620422", "410105"}, Operator: clerk, At: at, Reason: "卡面核对",
			Changes: []FieldChange{{Field: "person.name", Old: "测试甲", New: "测试乙"}, {Field: "hukou.division", Old: "620422", New: "410105"}}},
		"cancelled":      Cancelled{Refers: testID, Test: true, Desk: d, Operator: Operator{}, At: at, Reason: "test_tap", Note: "试读"},
		"status-away":    status,
		"status-minimal": ReaderStatus{Desk: "d", Reader: "side", State: "ready", Since: at, Test: true},
	}
}

// typeOf is the event type that a golden's name begins with.
func typeOf(golden string) string {
	token, _, _ := strings.Cut(golden, "-")
	if token == "status" {
		return StatusType
	}
	return "idtap.registration." + token + ".v1"
}

func TestGoldens(t *testing.T) {
	made := goldens()
	for name, v := range made {
		t.Run(name, func(t *testing.T) {
			got, err := json.MarshalIndent(v, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			path := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("the event differs from %s (-update writes it anew):\n%s", path, got)
			}
			// What was published reads back as the same event.
			decoded, err := Decode(typeOf(name), want)
			if err != nil {
				t.Fatal(err)
			}
			again, err := json.MarshalIndent(decoded, "", "  ")
			if err != nil || !bytes.Equal(append(again, '\n'), want) {
				t.Fatalf("decoded and encoded again: %v\n%s", err, again)
			}
		})
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) != len(made) {
		t.Errorf("%d files in testdata, %d made here (%v)", len(files), len(made), err)
	}
}

// Absent is absent: no empty strings, no nulls but valid_to, findings a list.
func TestGoldensHoldNothingEmpty(t *testing.T) {
	for name, v := range goldens() {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var data any
		if err := json.Unmarshal(text, &data); err != nil {
			t.Fatal(err)
		}
		walk(data, "", func(path string, v any) {
			switch x := v.(type) {
			case string:
				if x == "" {
					t.Errorf("%s: %s is empty", name, path)
				}
			case nil:
				if path != ".document.valid_to" {
					t.Errorf("%s: %s is null", name, path)
				}
			case []any:
				if len(x) == 0 && path != ".quality.findings" {
					t.Errorf("%s: %s is empty", name, path)
				}
			}
		})
	}
}

func walk(v any, path string, visit func(string, any)) {
	visit(path, v)
	switch x := v.(type) {
	case map[string]any:
		for k, v := range x {
			walk(v, path+"."+k, visit)
		}
	case []any:
		for _, v := range x {
			walk(v, path+"[]", visit)
		}
	}
}

func TestValidTo(t *testing.T) {
	for text, want := range map[string]ValidTo{
		`{"valid_to":null}`:         {Null: true},
		`{"valid_to":"2030-01-01"}`: {Date: "2030-01-01"},
		`{}`:                        {},
	} {
		var d struct {
			ValidTo ValidTo `json:"valid_to,omitzero"`
		}
		if err := json.Unmarshal([]byte(text), &d); err != nil || d.ValidTo != want {
			t.Errorf("%s: %+v, %v", text, d.ValidTo, err)
		}
		if again, err := json.Marshal(d); err != nil || string(again) != text {
			t.Errorf("%s became %s, %v", text, again, err)
		}
	}
	var v ValidTo
	if err := json.Unmarshal([]byte(`7`), &v); err == nil {
		t.Error("a number was taken for a day")
	}
}

func TestDecodeRefuses(t *testing.T) {
	secret := "机密"
	for _, c := range []struct{ name, ceType, data, says string }{
		{"nothing", RecordedType, ``, "byte 0"},
		{"no object", RecordedType, `"` + secret + `"`, ""},
		{"null", RecordedType, `null`, "document.kind"},
		{"cut", RecordedType, `{"person":{"name":"` + secret, "byte"},
		{"two documents", ConfirmedType, `{}{}`, "byte"},
		{"text for a number", RecordedType, `{"desk":{"seq":"` + secret + `"}}`, "desk.seq"},
		{"no kind", RecordedType, `{"desk":{"id":"d","seq":1}}`, "document.kind"},
		{"no desk", RecordedType, `{"document":{"kind":"resident"}}`, "desk.id"},
		{"no seq", ConfirmedType, `{"refers":"x","desk":{"id":"d"}}`, "desk.seq"},
		{"no refers", CorrectedType, `{"desk":{"id":"d","seq":1}}`, "refers"},
		{"no refers", CancelledType, `{"desk":{"id":"d","seq":1}}`, "refers"},
		{"no state", StatusType, `{"desk":"d"}`, "state"},
		{"time", ConfirmedType, `{"at":"` + secret + `"}`, ""},
		{"unknown type", "idtap.registration.recorded.v2", `{}`, "type"},
		{"endless", RecordedType, strings.Repeat(" ", MaxData+1), "longer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := Decode(c.ceType, []byte(c.data))
			if err == nil || v != nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), ErrData.Error()) {
				t.Fatalf("%v, want ErrData with %q", err, c.says)
			}
			if strings.Contains(err.Error(), secret) {
				t.Fatal("the error repeats the data")
			}
		})
	}
	if _, err := Decode(RecordedType, []byte(`{"document":{"kind":"resident"},"desk":{"id":"d","seq":1},"later":{"x":1}}`)); err != nil {
		t.Errorf("a member of a later version: %v", err)
	}
}

func TestPersonRef(t *testing.T) {
	key := []byte("k")
	a := PersonRef(key, "resident", "11010519491231002X")
	if len(a) != 3+43 || !strings.HasPrefix(a, "p1_") || strings.Contains(a, "1101") {
		t.Errorf("ref %q", a)
	}
	if a != PersonRef(key, "resident", "11010519491231002X") {
		t.Error("not the same for the same")
	}
	for _, other := range []string{PersonRef(key, "hmt_permit", "11010519491231002X"), PersonRef([]byte("l"), "resident", "11010519491231002X"), PersonRef(key, "resident", "110105194912310020")} {
		if a == other {
			t.Error("the same for another kind, key or number")
		}
	}
	if PersonRef(nil, "resident", "x") != "" || PersonRef(key, "resident", "") != "" {
		t.Error("a ref without key or number")
	}
}
