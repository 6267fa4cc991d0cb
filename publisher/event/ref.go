package event

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

// PersonRef returns the keyed hash of kind and number that lets systems join
// records without the number: "p1_" and HMAC-SHA-256 in base64url, or "" without a
// key or a number. Whoever holds the key can enumerate numbers.
func PersonRef(key []byte, kind, number string) string {
	if len(key) == 0 || number == "" {
		return ""
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(kind + "\x00" + number))
	return "p1_" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
