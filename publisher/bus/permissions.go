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
//
// api is the prefix of the JetStream API as the desk's account sees it. Within
// one account this set does not keep desks apart: see [Accounts].
func DeskPermissions(stream, api, deskDivision, deskID string) Permissions {
	return permissions(stream, api, event.DeskTokens(deskDivision, deskID), deskID)
}

// DeskTemplate is the same as a template for a scoped signing key: one rule for
// every desk. A desk's user is named by its id and carries the tags province,
// prefecture and county, digits or "_".
func DeskTemplate(stream, api string) Permissions {
	return permissions(stream, api, "{{tag(province)}}.{{tag(prefecture)}}.{{tag(county)}}.{{name()}}", "{{name()}}")
}

func permissions(stream, api, desk, id string) Permissions {
	return Permissions{
		Publish: []string{
			"idtap.v1.*." + desk + ".>",
			"idtap.status.v1." + desk,
			api + ".STREAM.INFO." + stream,
			api + ".DIRECT.GET." + stream + ".idtap.v1.*." + desk + ".>",
			DefaultAPIPrefix + ".INFO", // asked in the desk's own account: does the stream share it?
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
