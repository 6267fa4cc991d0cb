package daemon

import (
	_ "embed"

	"idtap/internal/text"
)

//go:embed texts.json
var textsFile []byte

var texts = text.MustLoad("cmd/internal/daemon", textsFile)
