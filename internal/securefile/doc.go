// Package securefile opens, writes and judges files that hold secrets or that
// the daemon's promises rest on: the queue and its keys, locks, tokens, captures
// with personal data.
//
// A file that is opened for writing is never reached through a symbolic link and
// must belong to the account that runs the program; otherwise root's commands in
// a service's directory could be led to any file of the system. New files are
// their owner's alone: mode 0600, and on Windows, where a mode means nothing, an
// access list of the account, the system and the administrators.
//
// Reading follows links, since an administrator may link a secret into place,
// but reads ordinary files only and says what others could do with them.
package securefile
