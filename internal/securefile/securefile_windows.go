package securefile

import (
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

func openNoFollow(path string, flags int) (*os.File, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return nil, &fs.PathError{Op: "open", Path: path, Err: ErrLink}
	}
	return os.OpenFile(path, flags, 0o600)
}

func openToRead(path string) (*os.File, error) { return os.Open(path) }

// checkOwner does nothing: what another account may do here is its access list's
// business, which Restrict sets.
func checkOwner(string, fs.FileInfo) error { return nil }

func keepOwner(*os.File, string) error { return nil }

// Judge fails only for a file that is not there: access lists are set by
// Restrict, and those of other files are their administrator's.
func Judge(path string, _ bool) error {
	_, err := os.Stat(path)
	return err
}

// Restrict gives a file or directory an access list of its own: the account that
// runs idtap, the system and the administrators; nothing is inherited from above.
func Restrict(path string) error {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return err
	}
	sd, err := windows.SecurityDescriptorFromString(
		"D:P(A;OICI;FA;;;" + user.User.Sid.String() + ")(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)")
	if err != nil {
		return err
	}
	acl, _, err := sd.DACL()
	if err != nil {
		return err
	}
	return windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, acl, nil)
}

// SyncDir does nothing: Windows has no directory sync, NTFS journals renames.
func SyncDir(string) error { return nil }
