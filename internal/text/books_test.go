package text_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"idtap/internal/text"
)

const root = "../.."

// TestBooks holds every texts.json against the source beside it: each key that
// the source asks for is in the file, each key of the file is asked for.
func TestBooks(t *testing.T) {
	for _, dir := range owners(t) {
		t.Run(filepath.ToSlash(dir), func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join(root, dir, "texts.json"))
			if err != nil {
				t.Fatal(err)
			}
			book, err := text.Load(dir, raw)
			if err != nil {
				t.Fatal(err)
			}
			use := usesIn(t, filepath.Join(root, dir))
			if !use.loaded {
				t.Errorf("%s: texts.json is not loaded into a variable texts by text.MustLoad", dir)
			}
			for key, at := range use.asked {
				if !book.Has(key) {
					t.Errorf("%s: %q has no text", at, key)
				}
			}
			for _, key := range book.Keys() {
				if !use.mentions(key) && !book.Shared(key) {
					t.Errorf("%s/texts.json: nothing asks for %q", dir, key)
				}
			}
		})
	}
}

// owners are the directories of the project with a texts.json.
func owners(t *testing.T) []string {
	t.Helper()
	var dirs []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "build" || d.Name() == "assets" || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if d.Name() == "texts.json" {
			dir, err := filepath.Rel(root, filepath.Dir(path))
			dirs = append(dirs, dir)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// uses is what a package's source asks its book for.
type uses struct {
	loaded   bool
	asked    map[string]string // key, place
	prefixes []string          // of keys put together: "error." + code
	literals map[string]bool   // every other string: codes in constants and tables
}

func (u uses) mentions(key string) bool {
	if _, ok := u.asked[key]; ok || u.literals[key] {
		return true
	}
	for _, p := range u.prefixes {
		if rest, ok := strings.CutPrefix(key, p); ok && rest != "" {
			return true
		}
	}
	return false
}

func usesIn(t *testing.T, dir string) uses {
	t.Helper()
	u := uses{asked: map[string]string{}, literals: map[string]bool{}}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool { return u.look(set, n) })
	}
	u.lookAtAssets(t, filepath.Join(dir, "assets"))
	return u
}

// look notes one node; it reports whether what is inside is of interest.
func (u *uses) look(set *token.FileSet, n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "MustLoad" { // this package's own
			u.loaded = true
		}
		f, ok := n.Fun.(*ast.SelectorExpr)
		if !ok || len(n.Args) == 0 {
			return true
		}
		of, isName := f.X.(*ast.Ident)
		first, isArg := n.Args[0].(*ast.Ident)
		switch {
		case isArg && first.Name == "texts" && len(n.Args) > 1: // diagnosis.NewEntry(texts, code, …)
			u.ask(set, n.Args[1])
		case f.Sel.Name == "say": // a command's or a printer's own choice of the language
			u.ask(set, n.Args[0])
		case !isName:
		case of.Name == "text" && f.Sel.Name == "MustLoad":
			u.loaded = true
		case of.Name == "texts":
			u.ask(set, n.Args[0])
		}
	case *ast.BasicLit:
		if s, ok := literal(n); ok {
			u.literals[s] = true
		}
	}
	return true
}

// ask notes that the source asks for a key.
func (u *uses) ask(set *token.FileSet, e ast.Expr) {
	if key, ok := literal(e); ok {
		u.asked[key] = set.Position(e.Pos()).String()
	} else if sum, ok := e.(*ast.BinaryExpr); ok {
		if p, ok := literal(sum.X); ok {
			u.prefixes = append(u.prefixes, p)
		}
	}
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// quoted are the keys that scripts and templates of the page name; a key put
// together ends its literal part with a dot.
var quoted = regexp.MustCompile("[\"'`]([a-z][a-z0-9_.]*)")

func (u *uses) lookAtAssets(t *testing.T, dir string) {
	t.Helper()
	entries, _ := os.ReadDir(dir) // most owners have none
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext != ".js" && ext != ".html" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range quoted.FindAllSubmatch(b, -1) {
			if key := string(m[1]); strings.HasSuffix(key, ".") {
				u.prefixes = append(u.prefixes, key)
			} else {
				u.literals[key] = true
			}
		}
	}
}
