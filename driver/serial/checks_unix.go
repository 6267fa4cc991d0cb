//go:build unix

package serial

import (
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"

	"idtap/internal/text"
)

// permissions says which group may use a port and who asked.
func permissions(path string) text.Text {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return text.Text{}
	}
	group, own := strconv.Itoa(int(st.Gid)), "?"
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	if u, err := user.Current(); err == nil {
		own = u.Username
	}
	return texts.Say("mode_group_user", st.Mode&0o7777, group, own)
}
