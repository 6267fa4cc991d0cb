package desk

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"idtap/internal/securefile"
)

const (
	minToken = 24 // characters
	minPIN   = 4
)

// maxSecret is the size of the largest file of secrets.
const maxSecret = 64 << 10

// readSecret reads a small file that nobody else may read.
func readSecret(path string) ([]byte, error) { return securefile.ReadSecret(path, maxSecret) }

// readToken reads the token file: one line.
func readToken(path string) (string, error) {
	b, err := readSecret(path)
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	token := string(bytes.TrimSpace(b))
	if len(token) < minToken || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("token file: %s: want one line of at least %d characters without spaces", path, minToken)
	}
	return token, nil
}

// operators are the people of the PIN file by the hash of their PIN.
type operators map[[sha256.Size]byte]string

// readPINs reads the PIN file: one operator:PIN a line, with a Chinese colon as
// well; empty lines and lines that begin with # are skipped.
//
//	张敏:482913
//
// No error text holds a PIN.
func readPINs(path string) (operators, error) {
	b, err := readSecret(path)
	if err != nil {
		return nil, fmt.Errorf("PIN file: %w", err)
	}
	ops, err := parsePINs(b)
	if err != nil {
		return nil, fmt.Errorf("PIN file: %s: %w", path, err)
	}
	return ops, nil
}

func parsePINs(b []byte) (operators, error) {
	ops := operators{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		line = strings.ReplaceAll(line, "：", ":")
		i := strings.LastIndexByte(line, ':')
		if i < 1 || utf8.RuneCountInString(strings.TrimSpace(line[i+1:])) < minPIN {
			return nil, fmt.Errorf("line %d: want operator:PIN, the PIN of at least %d characters", n, minPIN)
		}
		h := sha256.Sum256([]byte(strings.TrimSpace(line[i+1:])))
		if _, taken := ops[h]; taken {
			return nil, fmt.Errorf("line %d: two operators have the same PIN", n)
		}
		ops[h] = strings.TrimSpace(line[:i])
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(ops) == 0 {
		return nil, errors.New("no operator in it")
	}
	return ops, nil
}

// find gives the operator of a PIN. Every entry is compared, in constant time.
func (ops operators) find(pin string) (string, bool) {
	want := sha256.Sum256([]byte(pin))
	name, found := "", false
	for h, n := range ops {
		if subtle.ConstantTimeCompare(h[:], want[:]) == 1 {
			name, found = n, true
		}
	}
	return name, found
}

// CheckToken returns what keeps a token file from being used. Its content is in
// no error.
func CheckToken(path string) error {
	_, err := readToken(path)
	return err
}

// CheckPINs returns what keeps a PIN file from being used. Its content is in no
// error.
func CheckPINs(path string) error {
	_, err := readPINs(path)
	return err
}
