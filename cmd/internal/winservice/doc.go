// Package winservice installs, controls and is a service of Windows.
//
// The image path names the command "service run" explicitly: guessing by
// svc.IsWindowsService fails where the service manager is not Microsoft's (Wine).
// The service has an account of its own, NT SERVICE\idtap, which Windows makes by
// itself and which has no password; the access lists of the data folder name it.
// It starts some time after logon services do (delayed automatic start) and is
// started again when it fails.
//
// Source: learn.microsoft.com, "Service User Accounts", "SERVICE_FAILURE_ACTIONS".
package winservice
