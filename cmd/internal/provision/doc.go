// Package provision prepares the settings of many desks on one machine, and puts
// one desk's in place on its own. It needs no server: a bundle is a zip that is
// carried on a stick, sent by mail or copied by whatever manages the site's
// machines.
//
// A bundle holds the fleet's settings, the desk's own, and the files that they name
// in the configuration's folder (authorities, public keys, the desk's login), with
// a SHA-256 of each. The sum finds damage; who may change a bundle on its way may
// change the sum too, so a bundle travels like the login that is in it.
//
//	manifest.json   format, desk, and the sum of every other file
//	conf.d/10-fleet.yaml
//	conf.d/50-desk.yaml
//	desk.creds      and whatever else the settings name
package provision

import (
	_ "embed"

	"idtap/internal/text"
)

//go:embed texts.json
var textsFile []byte

var texts = text.MustLoad("provision", textsFile)
