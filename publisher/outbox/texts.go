package outbox

import (
	_ "embed"

	"idtap/internal/text"
)

//go:embed texts.json
var textsFile []byte

var texts = text.MustLoad("publisher/outbox", textsFile)
