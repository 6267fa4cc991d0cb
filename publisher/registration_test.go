package publisher

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"idtap/driver"
	"idtap/publisher/event"
	"idtap/reader"
	"idtap/reader/card"
	"idtap/reader/identity"
)

var update = flag.Bool("update", false, "write the examples in event/testdata again")

// examples are part of the contract: they stand beside the schemas.
const examples = "event/testdata"

var shanghai = time.FixedZone("CST", 8*3600)

var testGroups = []identity.Group{{Name: "child_0_6", MaxAge: 6, HasMax: true}, {Name: "woman_15_49", Sex: "female", MinAge: 15, MaxAge: 49, HasMax: true},
	{Name: "elder_65", MinAge: 65}}

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
func accept(r event.Registration, seq uint64) event.Registration {
	r.Desk.Epoch, r.Desk.Seq = "e7f3b2a19c", seq
	r.Timing.AcceptedAt = event.Time{Time: time.Date(2026, 11, 21, 17, 30, 0, 120e6, shanghai)}
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
	everything.Stay = &event.Stay{Address: "河南省郑州市金水区测试路4号", Phone: "00000000000", ArrivedOn: "2026-05-01", Reason: "work"}

	unresolved := testTap(card.Resident)
	unresolved.Checked.Division, unresolved.Checked.Path, unresolved.Checked.Confidence = "", nil, ""
	unresolved.Checked.Relation, unresolved.Checked.Validity, unresolved.Checked.Groups = "", "", nil
	unresolved.Checked.Appended, unresolved.Checked.Age, unresolved.Checked.Findings = nil, -1, nil

	d := event.Desk{ID: "jinshui-wenhualu-03", Reader: "front", Epoch: "e7f3b2a19c", Seq: 1842}
	clerk := event.Operator{Name: "测试员", Authenticated: true}
	at := event.Time{Time: time.Date(2026, 11, 21, 17, 31, 5, 0, shanghai)}
	resident := accept(NewRegistration(testTap(card.Resident), testDesk()), 1841)
	after, changes, _ := NewIntake(Options{Desk: testDesk(), Groups: testGroups}).amend(resident, []event.FieldChange{
		{Field: "person.name", Old: "测试甲", New: "测试乙"}, {Field: "person.birth_date", Old: "1949-12-31", New: "1979-12-31"},
		{Field: "document.number", Old: "11010519491231002X", New: "110105197912310023"},
		{Field: "document.valid_to", New: "2030-01-01"}, {Field: "hukou.division", Old: "620422", New: "410105"}})
	corrected := event.Corrected{Refers: "019372b4-7c3d-7a2f-8a61-0c5e7f9b1d23", Desk: d, HukouDivisions: []string{"620422", "410105"}, Operator: clerk, At: at,
		Reason: "卡面核对", Changes: changes, Record: &after}
	copied := corrected
	copied.CopyOf, copied.Desk.Seq = "019372b4-7c3e-7b11-9d02-5f0a1c2b3d4e", 1843
	status, _ := NewReaderStatus(testDesk(), reader.State{Reader: "front", Phase: reader.Away, Since: at.Time,
		Identity: driver.Identity{Model: "mock", SAM: "05.01-20120411-0002011994-0000000000"}})
	return map[string]any{
		"recorded-resident":        accept(NewRegistration(testTap(card.Resident), testDesk()), 1841),
		"recorded-hmt_permit":      accept(NewRegistration(testTap(card.HMTPermit), testDesk()), 1),
		"recorded-foreign_pr_2017": accept(NewRegistration(testTap(card.ForeignPR2017), testDesk()), 2),
		"recorded-foreign_pr_2023": accept(NewRegistration(testTap(card.ForeignPR2023), testDesk()), 3),
		"recorded-everything":      everything,
		"recorded-unresolved":      accept(NewRegistration(unresolved, testDesk()), 4),
		"confirmed":                event.Confirmed{Refers: "019372b4-7c3d-7a2f-8a61-0c5e7f9b1d23", Desk: d, HukouDivisions: []string{"620422"}, Operator: clerk, At: at},
		"corrected":                corrected,
		"corrected-copy":           copied,
		"cancelled":                event.Cancelled{Refers: "019372b4-7c3d-7a2f-8a61-0c5e7f9b1d23", Test: true, Desk: d, Operator: event.Operator{}, At: at, Reason: "test_tap", Note: "试读"},
		"receipt":                  event.Receipt{Refers: "019372b4-7c3d-7a2f-8a61-0c5e7f9b1d23", Registry: event.Registry{ID: "jinshui-wjw", Name: "测试登记机构"}, State: event.Received, At: at, Revision: 1},
		"receipt-look": event.Receipt{Refers: "019372b4-7c3d-7a2f-8a61-0c5e7f9b1d23", Registry: event.Registry{ID: "jinshui-wjw", Name: "测试登记机构"},
			State: event.NeedsVerification, Code: "registry_number_shared", Field: "document.number", Text: "请再核对证件", At: at, Revision: 2},
		"receipt-known":  event.Receipt{Refers: "019372b4-7c3d-7a2f-8a61-0c5e7f9b1d23", Registry: event.Registry{ID: "huining-wjw"}, State: event.Duplicate, DuplicateOf: "r-2231", At: at, Revision: 1},
		"status-away":    status,
		"status-minimal": event.ReaderStatus{Desk: "d", Reader: "side", State: "ready", Since: at, Test: true},
	}
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
			path := filepath.Join(examples, name+".json")
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
				t.Fatalf("%s (-update writes it again):\ngot  %s\nwant %s", path, got, want)
			}
		})
	}
	files, err := filepath.Glob(filepath.Join(examples, "*.json"))
	if err != nil || len(files) != len(made) {
		t.Errorf("%d files in %s, %d made here (%v)", len(files), examples, len(made), err)
	}
}

// TestSimulatedReadersAreTests: what no card was read for is a test, whatever the
// desk is.
func TestSimulatedReadersAreTests(t *testing.T) {
	for _, tt := range []struct{ desk, simulated, want bool }{{false, false, false}, {true, false, true}, {false, true, true}, {true, true, true}} {
		desk, tap := testDesk(), testTap(card.Resident)
		desk.Test, tap.Simulated = tt.desk, tt.simulated
		if got := NewRegistration(tap, desk).Test; got != tt.want {
			t.Errorf("NewRegistration(desk test %v, reader simulated %v).Test = %v, want %v", tt.desk, tt.simulated, got, tt.want)
		}
		status, _ := NewReaderStatus(desk, reader.State{Phase: reader.Ready, Identity: driver.Identity{Simulated: tt.simulated}})
		if status.Test != tt.want {
			t.Errorf("NewReaderStatus(desk test %v, reader simulated %v).Test = %v, want %v", tt.desk, tt.simulated, status.Test, tt.want)
		}
	}
}
