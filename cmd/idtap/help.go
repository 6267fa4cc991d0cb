package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"idtap/internal/text"
)

// language is what --lang says in the arguments, else the locale's: help and the
// errors of the command line itself are needed before the flags are parsed.
func (a *app) language(args []string) text.Lang {
	lang := systemLanguage(a.getenv)
	for i, arg := range args {
		value, ok := strings.CutPrefix(arg, "--lang=")
		if arg == "--lang" && i+1 < len(args) {
			value, ok = args[i+1], true
		}
		if arg == "--" {
			break
		}
		if ok && text.Known(value) {
			lang = value
		}
	}
	return lang
}

// describe gives a command and those below it their help in the user's language:
// help.PATH, long.PATH and flag.PATH.NAME. A flag of several commands has its
// text once, under the command above them or under its name alone.
func (a *app) describe(cmd *cobra.Command, path string) {
	if texts.Has("help." + path) {
		cmd.Short = a.say("help." + path)
	}
	if texts.Has("long." + path) {
		cmd.Long = a.say("long." + path)
	}
	cmd.InitDefaultHelpFlag()
	flag := func(f *pflag.Flag) {
		if key, ok := flagKey(path, f.Name); ok {
			f.Usage = a.say("flag." + key)
		}
	}
	cmd.LocalNonPersistentFlags().VisitAll(flag)
	cmd.PersistentFlags().VisitAll(flag)
	for _, sub := range cmd.Commands() {
		a.describe(sub, strings.TrimPrefix(path+"."+sub.Name(), "idtap."))
	}
}

// flagKey is the nearest text of a flag, without "flag.".
func flagKey(path, name string) (string, bool) {
	for {
		key := strings.TrimPrefix(path+"."+name, ".")
		if texts.Has("flag." + key) {
			return key, true
		}
		if path == "" {
			return "", false
		}
		path = path[:max(0, strings.LastIndexByte(path, '.'))]
	}
}

// headings are the words of cobra's usage template, as keys of their texts.
var headings = []string{"usage.usage", "usage.aliases", "usage.examples", "usage.commands", "usage.additional", "usage.flags",
	"usage.global", "usage.topics", "usage.more"}

// usageTemplate is cobra's in the user's language.
func (a *app) usageTemplate(template string) string {
	var pairs []string
	for _, key := range []string{"usage.global", "usage.commands", "usage.additional", "usage.topics"} { // longer ones first
		pairs = append(pairs, texts.Say(key).En, a.say(key))
	}
	for _, key := range headings {
		pairs = append(pairs, texts.Say(key).En, a.say(key))
	}
	return strings.NewReplacer(pairs...).Replace(template)
}

// noArgs refuses arguments; for a command with others below it they are a
// command that does not exist, perhaps a misspelt one.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.SuggestionsMinimumDistance <= 0 {
		cmd.SuggestionsMinimumDistance = 2
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usage(texts.Errorf("unknown_command_near", args[0], cmd.CommandPath(), strings.Join(near, ", ")))
	}
	return usage(texts.Errorf("unknown_command", args[0], cmd.CommandPath()))
}

func maxArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return usage(texts.Errorf("max_args", cmd.CommandPath(), n, len(args)))
		}
		return nil
	}
}

func minArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return usage(texts.Errorf("min_args", cmd.CommandPath(), n, len(args)))
		}
		return nil
	}
}

func exactArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usage(texts.Errorf("exact_args", cmd.CommandPath(), n, len(args)))
		}
		return nil
	}
}

// flagError is what is wrong with a flag, in both languages.
func flagError(err error) error {
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var bad *pflag.InvalidValueError
	var syntax *pflag.InvalidSyntaxError
	switch {
	case errors.As(err, &unknown):
		name := "--" + unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			name = "-" + unknown.GetSpecifiedName()
		}
		return usage(texts.Errorf("unknown_flag", name))
	case errors.As(err, &missing):
		return usage(texts.Errorf("flag_needs_value", "--"+missing.GetFlag().Name))
	case errors.As(err, &bad):
		why := bad.Unwrap()
		if errors.As(err, new(*strconv.NumError)) {
			why = texts.Errorf("not_number")
		}
		return usage(texts.Errorf("flag_bad_value", bad.GetValue(), "--"+bad.GetFlag().Name, why))
	case errors.As(err, &syntax):
		return usage(texts.Errorf("flag_syntax", syntax.GetSpecifiedFlag()))
	}
	return usage(err)
}
