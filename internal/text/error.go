package text

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
)

// Speaker is an error that knows its text in both languages.
type Speaker interface {
	error
	In(Lang) string
}

type textError struct {
	said    Text
	wrapped []error
}

func (e *textError) Error() string       { return e.said.En }
func (e *textError) In(lang Lang) string { return e.said.In(lang) }
func (e *textError) Unwrap() []error     { return e.wrapped }

// Error returns an error that says t and wraps the given ones.
func Error(t Text, wrapped ...error) error { return &textError{said: t, wrapped: wrapped} }

// Of returns an error in a language. English is its Error. In Chinese, errors
// that know their text say it, also at the end of a chain "context: cause" and
// inside errors.Join; the operating system's common causes are translated, and
// what is left stays as it is.
func Of(err error, lang Lang) string {
	if err == nil {
		return ""
	}
	if lang != Zh {
		return err.Error()
	}
	if s, ok := err.(Speaker); ok {
		return s.In(lang)
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var parts, plain []string
		for _, e := range several.Unwrap() {
			parts, plain = append(parts, Of(e, lang)), append(plain, e.Error())
		}
		if err.Error() == strings.Join(plain, "\n") {
			return strings.Join(parts, "\n")
		}
	}
	if p, ok := err.(*fs.PathError); ok {
		return p.Path + "：" + Of(p.Err, lang)
	}
	if inner := errors.Unwrap(err); inner != nil {
		if prefix, ok := strings.CutSuffix(err.Error(), inner.Error()); ok {
			return prefix + Of(inner, lang)
		}
	}
	if key := systemCause(err); key != "" {
		return texts.Say(key).Zh
	}
	return err.Error()
}

// systemCause is the key of the causes that people meet, "" for others. It looks
// at the end of a chain only: what is around it is said already.
func systemCause(err error) string {
	for _, c := range systemCauses {
		if err == c.err {
			return c.key
		}
	}
	var no syscall.Errno
	switch host, isHost := err.(*net.DNSError); {
	case isHost && host.IsNotFound:
		return "no_such_host"
	case !errors.As(err, &no):
		return ""
	case no.Is(fs.ErrNotExist):
		return "not_exist"
	case no.Is(fs.ErrPermission):
		return "permission"
	case no.Is(fs.ErrExist):
		return "exist"
	case no.Timeout():
		return "timeout"
	}
	return ""
}

var systemCauses = []struct {
	err error
	key string
}{
	{fs.ErrNotExist, "not_exist"},
	{fs.ErrPermission, "permission"},
	{fs.ErrExist, "exist"},
	{os.ErrDeadlineExceeded, "timeout"},
	{context.DeadlineExceeded, "timeout"},
	{context.Canceled, "interrupted"},
	{syscall.ECONNREFUSED, "refused"},
	{syscall.EADDRINUSE, "address_in_use"},
	{syscall.ENOSPC, "no_space"},
	{syscall.EISDIR, "is_directory"},
	{syscall.ENOTDIR, "not_directory"},
}
