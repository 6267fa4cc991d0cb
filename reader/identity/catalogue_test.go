package identity_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"idtap/reader/identity"
)

var update = flag.Bool("update", false, "rewrite the generated part of docs/codes.md")

// declaredCodes are the values of the Code constants in findings.go.
func declaredCodes(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "findings.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Code") {
			return true
		}
		code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, code)
		return true
	})
	return out
}

func TestCatalogueAndCodeAreEqual(t *testing.T) {
	declared := declaredCodes(t)
	var listed []string
	last := identity.Error
	order := map[identity.Severity]int{identity.Error: 0, identity.Warn: 1, identity.Info: 2}
	for _, e := range identity.Catalogue() {
		listed = append(listed, e.Code)
		if n, ok := order[e.Severity]; !ok || n < order[last] {
			t.Errorf("%s: severity %q out of order", e.Code, e.Severity)
		}
		last = e.Severity
		for what, text := range map[string]identity.Text{"title": e.Title, "cause": e.Cause, "clerk": e.Clerk, "technician": e.Technician} {
			if text.Zh == "" || text.En == "" || text.In("zh") != text.Zh || text.In("en") != text.En {
				t.Errorf("%s: %s is missing in a language", e.Code, what)
			}
			if strings.Contains(text.Zh+text.En, "|") {
				t.Errorf("%s: %s would break the table", e.Code, what)
			}
		}
		if e.Action != identity.NoAction && e.Action != identity.Compare {
			t.Errorf("%s: action %q", e.Code, e.Action)
		}
	}
	if !slices.Equal(declared, listed) {
		t.Errorf("declared %q\nlisted   %q", declared, listed)
	}
}

// Every code is reached by a test card or number: the catalogue lists nothing
// that never happens. The tests' source is the witness.
func TestEveryFindingIsTested(t *testing.T) {
	var source strings.Builder
	for _, file := range []string{"check_test.go", "number_test.go", "text_test.go"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(b)
	}
	for _, code := range declaredCodes(t) {
		if !strings.Contains(source.String(), `"`+code) && !strings.Contains(source.String(), " "+code) {
			t.Errorf("%s is in no test", code)
		}
	}
}

func TestUnknownCodeIsNotInTheCatalogue(t *testing.T) {
	if _, ok := identity.LookupFinding("no_such_code"); ok {
		t.Error("found")
	}
	for _, code := range declaredCodes(t) {
		if e, ok := identity.LookupFinding(code); !ok || e.Code != code {
			t.Errorf("%s is not found", code)
		}
	}
}

const (
	codesPage  = "../../docs/codes.md"
	codesBegin = "<!-- findings: generated from reader/identity/findings.go by go test ./reader/identity -run CodesPage -update -->\n"
	codesEnd   = "<!-- findings: end -->\n"
)

// TestCodesPageIsTheCatalogue keeps the findings part of docs/codes.md equal to
// the catalogue; with -update it writes it.
func TestCodesPageIsTheCatalogue(t *testing.T) {
	page, err := os.ReadFile(codesPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), codesBegin)
	if !ok {
		t.Fatal("the page has no marker for findings")
	}
	part, after, ok := strings.Cut(rest, codesEnd)
	if !ok {
		t.Fatal("the page has no end marker for findings")
	}
	want := findingsPart()
	if *update {
		if err := os.WriteFile(codesPage, []byte(before+codesBegin+want+codesEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if part != want {
		t.Error("docs/codes.md differs from the catalogue: go test ./reader/identity -run CodesPage -update")
	}
}

func findingsPart() string {
	var b strings.Builder
	b.WriteString("\n| code | severity | 中文 | English | clerk | second read |\n|---|---|---|---|---|---|\n")
	for _, e := range identity.Catalogue() {
		action, again := "–", "–"
		if e.Action != identity.NoAction {
			action = string(e.Action)
		}
		if e.Damage {
			again = "yes"
		}
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s | %s | %s | %s |\n", e.Code, e.Code, e.Severity, e.Title.Zh, e.Title.En, action, again)
	}
	for _, e := range identity.Catalogue() {
		fmt.Fprintf(&b, "\n### %s\n\n", e.Code)
		fmt.Fprintf(&b, "%s: %s", e.Severity, e.Title.En)
		if e.Field != "" {
			fmt.Fprintf(&b, " (`%s`)", e.Field)
		}
		b.WriteString("\n\n| | 中文 | English |\n|---|---|---|\n")
		for _, row := range []struct {
			zh, en string
			text   identity.Text
		}{{"原因", "cause", e.Cause}, {"窗口人员", "clerk", e.Clerk}, {"技术人员", "technician", e.Technician}} {
			fmt.Fprintf(&b, "| %s / %s | %s | %s |\n", row.zh, row.en, row.text.Zh, row.text.En)
		}
	}
	b.WriteString("\n")
	return b.String()
}
