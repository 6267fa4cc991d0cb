package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// runWith runs one command line with an input and gives what it printed.
func runWith(in io.Reader, args ...string) (code int, out, errs string) {
	var o, e strings.Builder
	a := &app{in: in, out: &o, err: &e, environ: func() []string { return nil }, getenv: func(string) string { return "" }}
	code = a.execute(context.Background(), args)
	return code, o.String(), e.String()
}

func TestCheckAnswersEveryLine(t *testing.T) {
	long := strings.Repeat("1", 3*lineLimit)
	in := "11010519491231002x\r\n\nrubbish\n" + long + "\n\xff\xfe\nKAZ110090123105\n810000199408230021"
	code, out, errs := runWith(strings.NewReader(in), "check", "-")
	if code != exitFailed || errs != "" {
		t.Errorf("exit %d, said %q", code, errs)
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	want := []struct {
		number, kind string
		valid        bool
	}{
		{"11010519491231002x", "citizen", true},
		{"", "unknown", false},
		{"rubbish", "unknown", false},
		{long[:echoLimit], "unknown", false},
		{"\uFFFD\uFFFD", "unknown", false},
		{"KAZ110090123105", "foreign_pr_2017", true},
		{"810000199408230021", "hmt_permit", true},
	}
	if len(lines) != len(want) {
		t.Fatalf("%d answers to %d lines", len(lines), len(want))
	}
	for i, w := range want {
		var v map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &v); err != nil {
			t.Fatal(err)
		}
		if v["number"] != w.number || v["kind"] != w.kind || v["valid"] != w.valid {
			t.Errorf("line %d: %.200s", i+1, lines[i])
		}
		keys := slices.Sorted(maps.Keys(v))
		if !slices.Equal(keys, []string{"birth_date", "division", "findings", "kind", "normalized", "number", "sex", "valid"}) {
			t.Errorf("line %d: keys %q", i+1, keys)
		}
	}
}

func TestCheckVerdict(t *testing.T) {
	for args, want := range map[string]string{
		"11010519491231002x": `{"number":"11010519491231002x","kind":"citizen","valid":true,"normalized":"11010519491231002X","birth_date":"1949-12-31","sex":"2","division":"110105","findings":[{"code":"number_normalised","severity":"info","field":"document.number"}]}`,
		"110105491231002":    `{"number":"110105491231002","kind":"legacy15","valid":true,"normalized":"11010519491231002X","birth_date":"1949-12-31","sex":"2","division":"110105","findings":[{"code":"legacy15","severity":"warn","field":"document.number"}]}`,
		"932682198501010017": `{"number":"932682198501010017","kind":"foreign_pr_2023","valid":true,"normalized":"932682198501010017","birth_date":"1985-01-01","sex":"1","division":"320000","findings":[]}`,
	} {
		code, out, errs := runWith(strings.NewReader(""), "check", args)
		if code != exitOK || errs != "" || out != want+"\n" {
			t.Errorf("exit %d, said %q, got\n%swant\n%s", code, errs, out, want)
		}
	}
}

func TestCheckExitCodes(t *testing.T) {
	for _, tt := range []struct {
		in   string
		args []string
		code int
		n    int
	}{
		{"11010519491231002X\n", nil, exitOK, 1},
		{"11010519491231002X\n", []string{"-"}, exitOK, 1},
		{"", []string{"-"}, exitOK, 0},
		{"440308199901101513\n", []string{"-"}, exitFailed, 1},
		{"", []string{"440308199901101513", "11010519491231002X"}, exitFailed, 2},
		{"11010519491231002X\n", []string{"110105491231002", "-", "810000199408230021"}, exitOK, 3},
		{"", []string{"000000000000000"}, exitFailed, 1},
		{"", []string{"--no-such-flag"}, exitUsage, 0},
	} {
		code, out, _ := runWith(strings.NewReader(tt.in), append([]string{"check"}, tt.args...)...)
		if code != tt.code || strings.Count(out, "\n") != tt.n {
			t.Errorf("%q: exit %d with %d lines, want %d with %d", tt.args, code, strings.Count(out, "\n"), tt.code, tt.n)
		}
	}
}

func TestCheckReportsAnInputThatBreaks(t *testing.T) {
	in := io.MultiReader(strings.NewReader("11010519491231002X\n"), iotest.ErrReader(io.ErrUnexpectedEOF))
	code, out, errs := runWith(in, "check", "-")
	if code != exitFailed || !strings.Contains(errs, "unexpected EOF") || strings.Count(out, "\n") != 1 {
		t.Errorf("exit %d, said %q, %d answers", code, errs, strings.Count(out, "\n"))
	}
}

// A program that asks line by line gets each answer before it asks again.
func TestCheckAnswersAtOnceOnAPipe(t *testing.T) {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	a := &app{in: inR, out: outW, err: io.Discard, environ: func() []string { return nil }, getenv: func(string) string { return "" }}
	done := make(chan int, 1)
	go func() { done <- a.execute(t.Context(), []string{"check", "-"}) }()
	answers := bufio.NewScanner(outR)
	for i := range 3 {
		fmt.Fprintf(inW, "11010519491231002X\n")
		if !answers.Scan() {
			t.Fatalf("no answer to line %d", i+1)
		}
	}
	inW.Close()
	if code := <-done; code != exitOK {
		t.Errorf("exit %d", code)
	}
}

// An interrupt ends a check that waits for its input.
func TestCheckEndsWhenInterrupted(t *testing.T) {
	inR, inW := io.Pipe()
	defer inW.Close()
	ctx, cancel := context.WithCancel(t.Context())
	a := &app{in: inR, out: io.Discard, err: io.Discard, environ: func() []string { return nil }, getenv: func(string) string { return "" }}
	done := make(chan int, 1)
	go func() { done <- a.execute(ctx, []string{"check", "-"}) }()
	cancel()
	if code := <-done; code != exitFailed {
		t.Errorf("exit %d", code)
	}
}

// BenchmarkCheckLines is idtap check over a file, in lines per second.
func BenchmarkCheckLines(b *testing.B) {
	const n = 10_000
	in := strings.Repeat("11010519491231002X\n440308199901101512\n", n/2)
	for b.Loop() {
		a := &app{in: strings.NewReader(in), out: io.Discard, err: io.Discard, environ: func() []string { return nil }, getenv: func(string) string { return "" }}
		if code := a.execute(b.Context(), []string{"check", "-"}); code != exitOK {
			b.Fatalf("exit %d", code)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
