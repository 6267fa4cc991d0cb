package daemon

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestTypesPointOneWay: no type of this package reaches itself through the
// fields of others, so that each can be built and tested without the rest; and
// the package knows no command line.
func TestTypesPointOneWay(t *testing.T) {
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]map[string]bool{} // of a type: the package's types that they name
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range file.Imports {
			if strings.Contains(i.Path.Value, "cobra") || strings.Contains(i.Path.Value, "x/term") {
				t.Errorf("imports %s, want neither command lines nor terminals", i.Path.Value)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			named := map[string]bool{}
			ast.Inspect(spec.Type, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncType, *ast.InterfaceType:
					return false // a function handed over is no pointer back
				case *ast.SelectorExpr:
					return false // another package's type
				case *ast.Ident:
					named[n.Name] = true
				}
				return true
			})
			fields[spec.Name.Name] = named
			return true
		})
	}
	if len(fields) < 10 {
		t.Fatalf("%d types found, want the package's", len(fields))
	}
	for name := range fields {
		if way := wayBack(fields, name, name, map[string]bool{}); way != "" {
			t.Errorf("%s points at itself: %s", name, way)
		}
	}
}

// wayBack returns how a type is reached from another's fields, "" if it is not.
func wayBack(fields map[string]map[string]bool, from, to string, seen map[string]bool) string {
	for next := range fields[from] {
		switch {
		case next == to && fields[next] != nil:
			return from + " -> " + next
		case fields[next] == nil || seen[next]:
			continue
		}
		seen[next] = true
		if way := wayBack(fields, next, to, seen); way != "" {
			return from + " -> " + way
		}
	}
	return ""
}
