package bus

import (
	"idtap/publisher/event"
)

// Permissions is what a desk may do on the bus; subjects may hold wildcards.
type Permissions struct {
	Publish        []string `json:"publish"`
	Subscribe      []string `json:"subscribe"`
	AllowResponses bool     `json:"allow_responses"` // answers of the micro service
}

// DeskPermissions is a desk's whole permission set.
//
// The direct get is scoped to the desk's own filter. The server takes what
// follows the stream's name as the subject to look for, wildcards included, and
// the permission matches it literally, so that idtap.v1.> or another desk's
// filter is refused; the unscoped $JS.API.DIRECT.GET.<stream> would show every
// other desk's events.
func DeskPermissions(stream, deskDivision, deskID string) Permissions {
	return permissions(stream, event.DeskTokens(deskDivision, deskID), deskID)
}

// DeskTemplate is the same as a template for a scoped signing key: one rule for
// every desk. A desk's user is named by its id and carries the tags province,
// prefecture and county, digits or "_".
func DeskTemplate(stream string) Permissions {
	return permissions(stream, "{{tag(province)}}.{{tag(prefecture)}}.{{tag(county)}}.{{name()}}", "{{name()}}")
}

func permissions(stream, desk, id string) Permissions {
	return Permissions{
		Publish: []string{
			"idtap.v1.*." + desk + ".>",
			"idtap.status.v1." + desk,
			"$JS.API.STREAM.INFO." + stream,
			"$JS.API.DIRECT.GET." + stream + ".idtap.v1.*." + desk + ".>",
		},
		Subscribe: []string{
			Inbox(id) + ".>",
			"$SRV.PING", "$SRV.PING." + ServiceName, "$SRV.PING." + ServiceName + ".*",
			"$SRV.INFO", "$SRV.INFO." + ServiceName, "$SRV.INFO." + ServiceName + ".*",
			"$SRV.STATS", "$SRV.STATS." + ServiceName, "$SRV.STATS." + ServiceName + ".*",
			"$SRV." + ServiceName + "." + desk + ".*",
		},
		AllowResponses: true,
	}
}
