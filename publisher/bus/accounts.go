package bus

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Accounts is the set-up that keeps desks apart: the stream in an account of its
// own, desks, registries and monitors in three others, joined by exports and
// imports.
//
// A server checks the subject that a user publishes to and never the reply
// subject that the user names: every answer of JetStream is published by the
// server, with the server's rights, to wherever the asker says. Within one
// account that makes every subject writable for everybody, $JS.API included. An
// answer that crosses an import travels under an internal subject and comes out
// in the asker's account alone, where no stream listens.
type Accounts struct {
	Stream    string // name of the stream
	APIPrefix string // of the JetStream API as the other accounts see it
}

// Names of the accounts. In operator mode they are names for nsc; what counts
// there are the accounts' keys.
const (
	StreamAccount     = "IDTAP"
	DeskAccount       = "IDTAP_DESKS"
	RegistryAccount   = "IDTAP_REGISTRIES"
	MonitorAccount    = "IDTAP_MONITORS"
	DefaultAPIPrefix  = "$JS.API"
	AccountsAPIPrefix = "IDTAP.API" // nats.api_prefix of desks in an account of their own
)

// NewAccounts returns the set-up for a stream.
func NewAccounts(stream string) Accounts {
	return Accounts{Stream: stream, APIPrefix: AccountsAPIPrefix}
}

// share is a service of one account that another may use. There is no stream
// export among them: in a cluster, an answer that a desk had sent to another
// desk's status subject came out of one.
type share struct {
	From, To string // accounts
	Subject  string // in From
	Local    string // in To; empty: the same
	Many     bool   // a request may be answered more than once
}

// shares are the whole joints between the accounts, each for one importer by name.
func (a Accounts) shares() []share {
	api := func(to, verb string) share {
		return share{From: StreamAccount, To: to, Subject: DefaultAPIPrefix + "." + verb, Local: a.APIPrefix + "." + verb}
	}
	next := api(RegistryAccount, "CONSUMER.MSG.NEXT."+a.Stream+".*")
	next.Many = true // one request, a batch of messages
	return []share{
		{From: StreamAccount, To: DeskAccount, Subject: AllSubjects},
		api(DeskAccount, "STREAM.INFO."+a.Stream),
		api(DeskAccount, "DIRECT.GET."+a.Stream+"."+AllSubjects),
		next,
		api(RegistryAccount, "CONSUMER.INFO."+a.Stream+".*"),
		{From: StreamAccount, To: RegistryAccount, Subject: "$JS.ACK." + a.Stream + ".>"},
		{From: StreamAccount, To: RegistryAccount, Subject: "idtap.receipt.v1.>"},
		{From: DeskAccount, To: MonitorAccount, Subject: "$SRV.>", Many: true},
		{From: MonitorAccount, To: DeskAccount, Subject: "idtap.status.v1.>"},
	}
}

func (a Accounts) names() []string {
	return []string{StreamAccount, DeskAccount, RegistryAccount, MonitorAccount}
}

// DeskPermissions is a desk's whole permission set in the desks' account.
func (a Accounts) DeskPermissions(deskDivision, deskID string) Permissions {
	return DeskPermissions(a.Stream, a.APIPrefix, deskDivision, deskID)
}

// RegistryPermissions is what one registry's user may do in the registries'
// account: draw from its own consumer, acknowledge, and publish its own receipts.
func (a Accounts) RegistryPermissions(registry, consumer string) Permissions {
	return Permissions{
		Publish: []string{
			a.APIPrefix + ".CONSUMER.MSG.NEXT." + a.Stream + "." + consumer,
			a.APIPrefix + ".CONSUMER.INFO." + a.Stream + "." + consumer,
			"$JS.ACK." + a.Stream + "." + consumer + ".>",
			"idtap.receipt.v1.*.*.*.*." + registry,
		},
		Subscribe: []string{Inbox(registry) + ".>"},
	}
}

// MonitorPermissions is what a monitor's user may do in the monitors' account.
func (a Accounts) MonitorPermissions(id string) Permissions {
	return Permissions{Publish: []string{"$SRV.>"}, Subscribe: []string{Inbox(id) + ".>", "idtap.status.v1.>"}}
}

// Login is a user's password, in the clear.
type Login struct{ Account, Name, Password string }

// Format implements fmt.Formatter so that no verb prints the password.
func (l Login) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "bus.Login(%s, masked)", l.Name) }

// Example returns the server file with an administrator, one desk, the registries
// and a monitor, and the passwords that were made for them.
func (a Accounts) Example(deskDivision, deskID string, registries []string) (file string, logins []Login, err error) {
	var users []User
	add := func(account, name string, p *Permissions) {
		l := Login{account, name, rand.Text()}
		hash, e := bcrypt.GenerateFromPassword([]byte(l.Password), bcrypt.MinCost) // the password is random
		err = errors.Join(err, e)
		users, logins = append(users, User{account, name, string(hash), p}), append(logins, l)
	}
	add(StreamAccount, "admin", nil)
	desk := a.DeskPermissions(deskDivision, deskID)
	add(DeskAccount, deskID, &desk)
	for _, r := range registries {
		p := a.RegistryPermissions(r, r)
		add(RegistryAccount, r, &p)
	}
	monitor := a.MonitorPermissions("monitor")
	add(MonitorAccount, "monitor", &monitor)
	head := "# Accounts of idtap, for the file of every server of the cluster: include \"accounts.conf\"\n" +
		"# Desks set nats.api_prefix: " + a.APIPrefix + ". One line like the desk's for each desk (idtap bus init --permissions).\n" +
		"# Check it with: idtap bus check --accounts FILE\n"
	return head + a.ServerFile(users), logins, err
}

// User is a user of a server file.
type User struct {
	Account     string
	Name        string
	Hash        string       // bcrypt
	Permissions *Permissions // nil: everything in the account
}

// ServerFile returns the accounts as a nats-server file.
func (a Accounts) ServerFile(users []User) string {
	var b strings.Builder
	b.WriteString("accounts {\n")
	for _, name := range a.names() {
		fmt.Fprintf(&b, "  %s {\n", name)
		if name == StreamAccount {
			b.WriteString("    jetstream: enabled\n")
		}
		a.writeShares(&b, "exports", name, func(s share) bool { return s.From == name }, share.export)
		a.writeShares(&b, "imports", name, func(s share) bool { return s.To == name }, share.imported)
		b.WriteString("    users [\n")
		for _, u := range users {
			if u.Account == name {
				b.WriteString("      " + u.line() + "\n")
			}
		}
		b.WriteString("    ]\n  }\n")
	}
	b.WriteString("}\n")
	return b.String()
}

func (a Accounts) writeShares(b *strings.Builder, what, account string, of func(share) bool, line func(share) string) {
	list := slices.DeleteFunc(a.shares(), func(s share) bool { return !of(s) })
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "    %s [\n", what)
	for _, s := range list {
		fmt.Fprintf(b, "      %s\n", line(s))
	}
	b.WriteString("    ]\n")
}

func (s share) local() string { return cmp.Or(s.Local, s.Subject) }

func (s share) export() string {
	more := ""
	if s.Many {
		more = ", response_type: stream"
	}
	return fmt.Sprintf("{service: %q, accounts: [%s]%s}", s.Subject, s.To, more)
}

func (s share) imported() string {
	to := ""
	if s.Local != "" {
		to = fmt.Sprintf(", to: %q", s.Local)
	}
	return fmt.Sprintf("{service: {account: %s, subject: %q}%s}", s.From, s.Subject, to)
}

func (u User) line() string {
	if u.Permissions == nil {
		return fmt.Sprintf("{user: %q, password: %q}", u.Name, u.Hash)
	}
	more := ""
	if u.Permissions.AllowResponses {
		more = ", allow_responses: true"
	}
	return fmt.Sprintf("{user: %q, password: %q, permissions: {publish: %s, subscribe: %s%s}}",
		u.Name, u.Hash, quoted(u.Permissions.Publish), quoted(u.Permissions.Subscribe), more)
}

func quoted(subjects []string) string {
	q := make([]string, len(subjects))
	for i, s := range subjects {
		q[i] = fmt.Sprintf("%q", s)
	}
	return "[" + strings.Join(q, ", ") + "]"
}

// NSC returns the same set-up as lines for nsc, the tool of operator mode: private
// exports, each with an activation for its importer. KEY_<account> is set to the
// importer's public key first.
func (a Accounts) NSC() []string {
	var lines []string
	for _, name := range a.names() {
		lines = append(lines, "nsc add account "+name)
	}
	lines = append(lines, "nsc edit account "+StreamAccount+" --js-disk-storage -1 --js-mem-storage -1 --js-streams -1 --js-consumer -1")
	for _, name := range a.names() {
		lines = append(lines, fmt.Sprintf("KEY_%s=$(nsc describe account %s --field sub | tr -d '\"')", name, name))
	}
	for i, s := range a.shares() {
		many := ""
		if s.Many {
			many = " --response-type Stream"
		}
		token := fmt.Sprintf("activation-%d.jwt", i+1)
		lines = append(lines,
			fmt.Sprintf("nsc add export --account %s --private --service%s --name '%s' --subject '%s'", s.From, many, s.Subject, s.Subject),
			fmt.Sprintf("nsc generate activation --account %s --subject '%s' --target-account \"$KEY_%s\" --output-file %s", s.From, s.Subject, s.To, token),
			fmt.Sprintf("nsc add import --account %s --token %s --name '%s' --local-subject '%s'", s.To, token, s.local(), s.local()))
	}
	return lines
}
