// Command dist builds what a release consists of, into one folder: a static
// program per platform, deb and rpm by nfpm, a zip for Windows with a version
// resource, the bill of materials, the licences of what is linked in, SHA256SUMS.
//
// Two runs on one commit make the same bytes: every time in the packages is the
// commit's, nothing of the machine or the path is in them. The tools are pinned
// in packaging/tools, a module of its own (docs/decisions/packaging.md).
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// target is a platform that is built for.
type target struct{ os, arch string }

func (t target) String() string { return t.os + "/" + t.arch }

// program is the file name of the target's program in the release.
func (t target) program() string {
	name := "idtap-" + t.os + "-" + t.arch
	if t.os == "windows" {
		name += ".exe"
	}
	return name
}

// targets are all that a release has.
var targets = []target{{"linux", "amd64"}, {"linux", "arm64"}, {"linux", "loong64"}, {"windows", "amd64"}, {"windows", "arm64"}}

// release is one run.
type release struct {
	root    string // of the source
	out     string // what is released
	stage   string // what packages are made from
	tools   string // programs built from packaging/tools
	version string // semantic version without v
	time    time.Time
	targets []target
	log     io.Writer
}

func main() {
	out := flag.String("out", "dist", "folder of the release; emptied first")
	only := flag.String("targets", "", "only these, such as linux/amd64,windows/amd64; none: all five")
	version := flag.String("version", "", "semantic version; none: from the tags of the commit")
	parts := flag.String("parts", "programs,materials,packages", "what is made, in this order; programs of an earlier run are kept if left out")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *out, *only, *version, *parts); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out, only, version, parts string) error {
	r := release{out: out, log: os.Stdout}
	if err := r.prepare(ctx, only, version); err != nil {
		return err
	}
	for part := range strings.SplitSeq(parts, ",") {
		steps := map[string]func(context.Context) error{"programs": r.programs, "materials": r.materials, "packages": r.packages}
		step, ok := steps[part]
		if !ok {
			return fmt.Errorf("-parts %s: want programs, materials or packages", part)
		}
		if err := step(ctx); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	return r.sums()
}

func (r *release) prepare(ctx context.Context, only, version string) error {
	var err error
	if r.root, err = r.read(ctx, "git", "rev-parse", "--show-toplevel"); err != nil {
		return err
	}
	if r.out, err = filepath.Abs(r.out); err != nil {
		return err
	}
	r.stage, r.tools = filepath.Join(r.root, "build", "stage"), filepath.Join(r.root, "build", "tools")
	at, err := r.read(ctx, "git", "log", "-1", "--format=%ct")
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return err
	}
	r.time = time.Unix(seconds, 0).UTC()
	if r.version = version; version == "" {
		described, err := r.read(ctx, "git", "describe", "--tags", "--always", "--dirty", "--match", "v[0-9]*")
		if err != nil {
			return err
		}
		r.version = versionOf(described, r.time)
	}
	if r.targets, err = chosen(only); err != nil {
		return err
	}
	for _, dir := range []string{r.out, r.stage, r.tools} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	_, err = r.read(ctx, "go", "build", "-modfile=packaging/tools/go.mod", "-o", r.tools+string(filepath.Separator), "tool")
	return err
}

// untagged is the version of commits before the first tag.
const untagged = "0.1.0-dev"

var (
	tagged = regexp.MustCompile(`^v(\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+?)?)(?:-(\d+)-g([0-9a-f]+))?$`)
	bare   = regexp.MustCompile(`^[0-9a-f]+$`)
)

// versionOf turns what git describe says into a semantic version that sorts as
// the history does: v1.2.0 is 1.2.0, v1.2.0-5-gabc is 1.2.0+5.gabc, and a commit
// without a tag is 0.1.0-dev.20261125080500.gabc.
func versionOf(described string, at time.Time) string {
	described, dirty := strings.CutSuffix(described, "-dirty")
	v, mark := untagged+at.Format(".20060102150405"), ".dirty"
	if m := tagged.FindStringSubmatch(described); m != nil {
		if v, mark = m[1], "+dirty"; m[2] != "" {
			v, mark = v+"+"+m[2]+".g"+m[3], ".dirty"
		}
	} else if bare.MatchString(described) {
		v += ".g" + described
	}
	if dirty {
		v += mark
	}
	return v
}

func chosen(only string) ([]target, error) {
	if only == "" {
		return targets, nil
	}
	var list []target
	for name := range strings.SplitSeq(only, ",") {
		found := false
		for _, t := range targets {
			if t.String() == name {
				list, found = append(list, t), true
			}
		}
		if !found {
			return nil, fmt.Errorf("-targets %s: want some of %v", name, targets)
		}
	}
	return list, nil
}

// read runs a program in the source folder and returns what it prints. The
// environment goes behind the machine's own.
func (r *release) read(ctx context.Context, name string, args ...string) (string, error) {
	return r.readWith(ctx, nil, name, args...)
}

func (r *release) readWith(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(), env...)
	var errs strings.Builder
	cmd.Stderr = &errs
	b, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", strings.Join(cmd.Args, " "), err, errs.String(), b)
	}
	return strings.TrimSpace(string(b)), nil
}
