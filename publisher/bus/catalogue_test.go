package bus

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"
)

// TestEveryCodeIsExplained reads health.go: every constant of type Code but the
// one that nobody sees has one entry, in both languages.
func TestEveryCodeIsExplained(t *testing.T) {
	file := must[*ast.File](t)(parser.ParseFile(token.NewFileSet(), "health.go", nil, 0))
	declared := map[Code]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Type == nil || len(spec.Values) != 1 {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Code" || !spec.Names[0].IsExported() {
			return true
		}
		declared[Code(must[string](t)(strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)))] = true
		return true
	})
	if len(declared) < 30 {
		t.Fatalf("only %d codes found in health.go", len(declared))
	}
	for _, e := range Catalogue() {
		if !declared[e.Code] {
			t.Errorf("%s is explained twice or not declared", e.Code)
		}
		delete(declared, e.Code)
		if e.What.Zh == "" || e.What.En == "" || e.Remedy.Zh == "" || e.Remedy.En == "" || e.Owner == "" {
			t.Errorf("%s: something is missing", e.Code)
		}
		if got, ok := Explain(e.Code); !ok || got != e {
			t.Errorf("%s is not found", e.Code)
		}
	}
	for code := range declared {
		t.Errorf("%s is not explained", code)
	}
	if _, ok := Explain("none"); ok {
		t.Error("an unknown code is explained")
	}
}
