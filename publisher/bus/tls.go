package bus

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// tlsOptions read the files when a connection is made, not now; that they are
// usable now is checked so that a wrong path is named at once.
func (s Server) tlsOptions() ([]nats.Option, error) {
	opts := []nats.Option{nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12})}
	var cert nats.TLSCertHandler
	var roots nats.RootCAsHandler
	if s.Cert != "" {
		if _, err := s.clientCert(); err != nil {
			return nil, err
		}
		cert = s.clientCert
	}
	if s.CA != "" {
		if _, err := s.authorities(); err != nil {
			return nil, err
		}
		roots = s.authorities
	}
	if cert != nil || roots != nil {
		opts = append(opts, nats.ClientTLSConfig(cert, roots))
	}
	return opts, nil
}

func (s Server) clientCert() (tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(s.Cert, s.Key)
	if err != nil {
		return tls.Certificate{}, &FileError{"certificate", s.Cert, err}
	}
	return pair, nil
}

func (s Server) authorities() (*x509.CertPool, error) {
	text, err := os.ReadFile(s.CA)
	if err != nil {
		return nil, &FileError{"authorities", s.CA, err}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, &FileError{"authorities", s.CA, fmt.Errorf("no certificate in it")}
	}
	return pool, nil
}

// certExpiry is the end of the client certificate's validity as the file is
// now; zero without one.
func (s Server) certExpiry() (time.Time, error) {
	if s.Cert == "" {
		return time.Time{}, nil
	}
	pair, err := s.clientCert()
	if err != nil {
		return time.Time{}, err
	}
	if pair.Leaf == nil {
		return time.Time{}, nil
	}
	return pair.Leaf.NotAfter, nil
}

func (s Server) credsClaims() (*jwt.UserClaims, error) {
	text, err := os.ReadFile(s.Creds)
	if err != nil {
		return nil, &FileError{"credentials", s.Creds, err}
	}
	defer clear(text)
	token, err := nkeys.ParseDecoratedJWT(text)
	if err != nil {
		return nil, &FileError{"credentials", s.Creds, fmt.Errorf("no JWT in it")}
	}
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return nil, &FileError{"credentials", s.Creds, fmt.Errorf("not the JWT of a user")}
	}
	return claims, nil
}

// credsExpiry is the end of the credentials as the file is now; zero without
// one, or if it does not end.
func (s Server) credsExpiry() (time.Time, error) {
	if s.Creds == "" {
		return time.Time{}, nil
	}
	claims, err := s.credsClaims()
	if err != nil || claims.Expires == 0 {
		return time.Time{}, err
	}
	return time.Unix(claims.Expires, 0), nil
}

// expiries are the problems of dates that have come or come soon.
func expiries(now time.Time, cert, server, creds time.Time) []Problem {
	var found []Problem
	for _, d := range []struct {
		end        time.Time
		soon, over Code
	}{
		{cert, CertExpires, CertExpired},
		{server, ServerCertExpiry, ServerCertExpiry},
		{creds, CredsExpire, CredsExpired},
	} {
		switch {
		case d.end.IsZero() || d.end.Sub(now) > ExpiryWarning:
		case d.end.After(now):
			found = append(found, Problem{d.soon, "valid until " + d.end.Format(time.RFC3339)})
		default:
			found = append(found, Problem{d.over, "ended " + d.end.Format(time.RFC3339)})
		}
	}
	return found
}
