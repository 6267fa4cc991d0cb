package bus

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/conf"
)

// CheckAccounts reads the accounts of a nats-server file and says what lets one
// desk at another's events, or keeps desks from working. An account counts by its
// exports, whatever it is called: the stream's is the one that exports
// [AllSubjects] as a service.
func CheckAccounts(path string, a Accounts) ([]Problem, error) {
	file, err := conf.ParseFile(path)
	if err != nil {
		return nil, err
	}
	f := accountsFile{accounts: map[string]map[string]any{}}
	accounts, _ := file["accounts"].(map[string]any)
	for name, v := range accounts {
		f.accounts[name], _ = v.(map[string]any)
	}
	return f.check(a), nil
}

// accountsFile is the accounts of a server file, as they stand there.
type accountsFile struct {
	accounts map[string]map[string]any
	found    []Problem
}

func (f *accountsFile) add(code Code, format string, args ...any) {
	f.found = append(f.found, Problem{code, fmt.Sprintf(format, args...)})
}

func (f *accountsFile) check(a Accounts) []Problem {
	home := f.home()
	if home == "" {
		f.add(AccountsMissing, "no account exports the service %s: stream and desks share an account", AllSubjects)
		return f.found
	}
	desks := f.importers(home, AllSubjects)
	if len(desks) == 0 {
		f.add(AccountsMissing, "no account imports the service %s of %s", AllSubjects, home)
	}
	f.checkHome(home)
	for _, name := range desks {
		f.checkDesks(name, home)
	}
	f.checkExports(home, desks, a)
	f.checkImports(home, desks, a)
	return f.found
}

// home is the stream's account.
func (f *accountsFile) home() string {
	for _, name := range slices.Sorted(maps.Keys(f.accounts)) {
		for _, e := range f.joints(name, "exports") {
			if e.kind == "service" && e.subject == AllSubjects {
				return name
			}
		}
	}
	return ""
}

// checkHome wants administrators alone where the stream is.
func (f *accountsFile) checkHome(home string) {
	for _, u := range list(f.accounts[home]["users"]) {
		if user, ok := u.(map[string]any); ok && user["permissions"] != nil {
			f.add(AccountsTogether, "%s: user %v has limited permissions in the stream's account, where only administrators belong", home, user["user"])
		}
	}
}

func (f *accountsFile) checkDesks(name, home string) {
	if v := f.accounts[name]["jetstream"]; v != nil && v != "disabled" && v != false {
		f.add(AccountsTogether, "%s: JetStream is enabled in the desks' account", name)
	}
	if name == home {
		f.add(AccountsTogether, "%s: the stream's account imports from itself", name)
	}
	for _, u := range list(f.accounts[name]["users"]) {
		user, _ := u.(map[string]any)
		perms, _ := user["permissions"].(map[string]any)
		publish, subscribe := subjects(perms["publish"]), subjects(perms["subscribe"])
		for _, s := range append(publish, subscribe...) {
			if s == ">" || s == AllSubjects {
				perms = nil
			}
		}
		if perms == nil || perms["publish"] == nil || perms["subscribe"] == nil {
			f.add(AccountsOpen, "%s: user %v may do everything in the desks' account", name, user["user"])
		}
	}
}

// checkExports wants every export to name its importers, and the stream's account
// to export no more than the set-up has.
func (f *accountsFile) checkExports(home string, desks []string, a Accounts) {
	for _, name := range slices.Sorted(maps.Keys(f.accounts)) {
		for _, e := range f.joints(name, "exports") {
			if e.kind == "stream" && name != home && slices.Contains(desks, name) {
				f.add(AccountsOpen, "%s: stream export %s: answers that a desk redirects come out of it", name, e.subject)
			}
			if len(e.accounts) == 0 {
				f.add(AccountsOpen, "%s: export %s names no accounts: any account may import it", name, e.subject)
			}
			if name != home {
				continue
			}
			if !slices.ContainsFunc(a.shares(), func(s share) bool {
				return s.From == StreamAccount && e.kind == "service" && covers([]string{s.Subject}, e.subject) &&
					(s.To == DeskAccount || !slices.ContainsFunc(desks, func(d string) bool { return slices.Contains(e.accounts, d) }))
			}) {
				f.add(AccountsOpen, "%s: %s export %s for %s is not part of the set-up", name, e.kind, e.subject, strings.Join(e.accounts, ", "))
			}
		}
	}
}

// checkImports wants what a desk needs to arrive under the API prefix, and
// answers that come more than once to be let through.
func (f *accountsFile) checkImports(home string, desks []string, a Accounts) {
	for _, s := range a.shares() {
		if s.From == StreamAccount && s.To == DeskAccount {
			for _, desk := range desks {
				if !slices.ContainsFunc(f.joints(desk, "imports"), func(i joint) bool {
					return i.kind == "service" && i.from == home && covers([]string{i.subject}, s.Subject) && (s.Local == "" || i.local != "" && i.local != i.subject)
				}) {
					f.add(AccountsMissing, "%s: import of %s from %s under %s", desk, s.Subject, home, s.local())
				}
			}
		}
		if !s.Many {
			continue
		}
		for name := range f.accounts {
			for _, e := range f.joints(name, "exports") {
				if e.subject == s.Subject && !e.many {
					f.add(AccountsMissing, "%s: export %s without response_type: stream answers once", name, e.subject)
				}
			}
		}
	}
}

// importers are the accounts that import a service of from.
func (f *accountsFile) importers(from, subject string) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(f.accounts)) {
		if slices.ContainsFunc(f.joints(name, "imports"), func(i joint) bool {
			return i.kind == "service" && i.from == from && covers([]string{subject}, i.subject)
		}) {
			names = append(names, name)
		}
	}
	return names
}

// joint is an export or import as it stands in the file.
type joint struct {
	kind, subject, from, local string
	accounts                   []string
	many                       bool
}

func (f *accountsFile) joints(account, what string) []joint {
	var joints []joint
	for _, v := range list(f.accounts[account][what]) {
		m, _ := v.(map[string]any)
		for _, kind := range []string{"service", "stream"} {
			switch of := m[kind].(type) {
			case string:
				j := joint{kind: kind, subject: of, accounts: subjects(m["accounts"])}
				answer, _ := m["response_type"].(string)
				if answer == "" {
					answer, _ = m["response"].(string)
				}
				j.many = strings.EqualFold(answer, "stream") || strings.EqualFold(answer, "chunked")
				joints = append(joints, j)
			case map[string]any:
				j := joint{kind: kind}
				j.from, _ = of["account"].(string)
				j.subject, _ = of["subject"].(string)
				j.local, _ = m["to"].(string)
				joints = append(joints, j)
			}
		}
	}
	return joints
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// subjects are one string, a list of them, or a block with an allow of either.
func subjects(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				all = append(all, s)
			}
		}
		return all
	case map[string]any:
		return subjects(v["allow"])
	}
	return nil
}
