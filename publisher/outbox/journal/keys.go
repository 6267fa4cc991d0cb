package journal

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"idtap/internal/securefile"
)

const (
	keyPrefix = "idtap-queue-key-v1"
	keyNotice = "# Keys of the idtap queue. Secret: whoever has them reads the queue. Keep a copy elsewhere.\n" +
		"# The last line seals new records; the lines above it open older ones.\n"

	sealVersion = 1
	keyIDSize   = 4
	nonceSize   = 12
	sealHeader  = 1 + keyIDSize + nonceSize
)

// errNoKey says that a sealed value names a key that is not in the key file.
var errNoKey = errors.New("sealed with a key that is not in the key file")

type keyID [keyIDSize]byte

func (id keyID) String() string { return hex.EncodeToString(id[:]) }

// queueKey is one line of the key file. Its id is derived from it, so a damaged
// line is seen and a wrong key is told from a damaged record.
type queueKey struct {
	id     keyID
	secret []byte
	aead   cipher.AEAD
}

func newQueueKey(secret []byte) (queueKey, error) {
	k := queueKey{secret: secret}
	sum := sha256.Sum256(append([]byte("idtap queue key id\x00"), secret...))
	copy(k.id[:], sum[:])
	body, err := k.derive("sealed bodies", 32)
	if err != nil {
		return k, err
	}
	block, err := aes.NewCipher(body)
	if err != nil {
		return k, err
	}
	k.aead, err = cipher.NewGCM(block)
	return k, err
}

// derive returns a key for one purpose (HKDF-SHA-256, RFC 5869).
func (k queueKey) derive(purpose string, size int) ([]byte, error) {
	return hkdf.Key(sha256.New, k.secret, nil, "idtap queue v1: "+purpose, size)
}

// Keyring is the key file in memory: every key opens, the last one seals.
type Keyring struct {
	keys []queueKey
	text []byte      // of the file
	file fs.FileInfo // as it was read
}

// Seal encrypts plain with the newest key (AES-256-GCM, random nonce):
//
//	version(1) key id(4) nonce(12) ciphertext tag(16)
//
// about ties the result to what it belongs to; opening needs the same bytes.
func (r *Keyring) Seal(plain, about []byte) []byte {
	k := r.keys[len(r.keys)-1]
	out := make([]byte, sealHeader, sealHeader+len(plain)+k.aead.Overhead())
	out[0] = sealVersion
	copy(out[1:], k.id[:])
	rand.Read(out[1+keyIDSize : sealHeader])
	return k.aead.Seal(out, out[1+keyIDSize:sealHeader], plain, about)
}

// Open decrypts what Seal made. The error is ErrDamaged, or errNoKey.
func (r *Keyring) Open(sealed, about []byte) ([]byte, error) {
	if len(sealed) < sealHeader || sealed[0] != sealVersion {
		return nil, fmt.Errorf("%w: not a sealed value", ErrDamaged)
	}
	id := keyID(sealed[1 : 1+keyIDSize])
	for _, k := range r.keys {
		if k.id == id {
			plain, err := k.aead.Open(nil, sealed[1+keyIDSize:sealHeader], sealed[sealHeader:], about)
			if err != nil {
				return nil, fmt.Errorf("%w: seal broken", ErrDamaged)
			}
			return plain, nil
		}
	}
	return nil, fmt.Errorf("%w (key %s)", errNoKey, id)
}

func (r *Keyring) has(id string) bool {
	for _, k := range r.keys {
		if k.id.String() == id {
			return true
		}
	}
	return false
}

// Newest returns the id of the key that seals.
func (r *Keyring) Newest() string { return r.keys[len(r.keys)-1].id.String() }

// Derive returns a key for one purpose, made from the oldest line, so that a rotation changes neither
// person.ref nor the embedded store's key.
func (r *Keyring) Derive(purpose string, size int) []byte {
	b, err := r.keys[0].derive(purpose, size)
	if err != nil {
		panic("journal: hkdf: " + err.Error()) // only for absurd sizes
	}
	return b
}

// LoadKeys reads a key file. The error is fs.ErrNotExist if there is none, and
// ErrKey for everything else that is wrong with it.
func LoadKeys(file string) (*Keyring, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	r, err := parseKeys(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w: put the copy of the file back", ErrKey, file, err)
	}
	r.text = b
	if r.file, err = os.Stat(file); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return r, nil
}

// Keep makes sure that the key file still holds every key of r: without it
// nothing sealed opens after a restart. A missing file is written again, and
// another one moved aside for it; then restored is true.
func (r *Keyring) Keep(file string) (restored bool, err error) {
	now, same := leadsTo(file, r.file)
	if same && now.Size() == r.file.Size() && now.ModTime().Equal(r.file.ModTime()) {
		return false, nil
	}
	if found, err := LoadKeys(file); err == nil && found.holds(r) {
		r.file = found.file
		return false, nil
	}
	if now != nil {
		if err := os.Rename(file, file+".replaced"); err != nil {
			return false, fmt.Errorf("%w: %s was changed and cannot be put right: %w", ErrKey, file, err)
		}
	}
	if err = makeDir(filepath.Dir(file)); err == nil {
		err = securefile.Replace(file, r.text)
	}
	if err == nil {
		r.file, err = os.Stat(file)
	}
	if err != nil {
		return false, fmt.Errorf("%w: %s is gone and cannot be written again: %w", ErrKey, file, err)
	}
	return true, nil
}

// holds reports whether r has every key of other.
func (r *Keyring) holds(other *Keyring) bool {
	return !slices.ContainsFunc(other.keys, func(k queueKey) bool { return !r.has(k.id.String()) })
}

func parseKeys(b []byte) (*Keyring, error) {
	r := &Keyring{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Fields(line)
		if len(f) != 4 || f[0] != keyPrefix {
			return nil, fmt.Errorf("line %d is not a queue key", n)
		}
		secret, err := base64.StdEncoding.Strict().DecodeString(f[3])
		if err != nil || len(secret) != 32 {
			return nil, fmt.Errorf("line %d is damaged", n)
		}
		k, err := newQueueKey(secret)
		if err != nil {
			return nil, err
		}
		if k.id.String() != f[1] {
			return nil, fmt.Errorf("line %d is damaged: it is not key %q", n, f[1])
		}
		if r.has(f[1]) {
			return nil, fmt.Errorf("line %d repeats key %s", n, f[1])
		}
		r.keys = append(r.keys, k)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(r.keys) == 0 {
		return nil, errors.New("no key in it")
	}
	return r, nil
}

// AddKey appends a new key to a key file, which it creates with mode 0600 if
// need be. The file is replaced whole and synced: it is never half a file.
func AddKey(file string, now time.Time) (string, error) {
	old, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		old, err = []byte(keyNotice), nil
	}
	if err != nil {
		return "", err
	}
	if len(old) > 0 && old[len(old)-1] != '\n' {
		old = append(old, '\n')
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	k, err := newQueueKey(secret)
	if err != nil {
		return "", err
	}
	line := fmt.Sprintf("%s %s %s %s\n", keyPrefix, k.id, now.UTC().Format("2006-01-02"), base64.StdEncoding.EncodeToString(secret))
	if err := makeDir(filepath.Dir(file)); err != nil {
		return "", err
	}
	return k.id.String(), securefile.Replace(file, append(old, line...))
}
