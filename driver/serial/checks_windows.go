package serial

import "idtap/internal/text"

// permissions has nothing to add: Windows calls a held port denied as well.
func permissions(string) text.Text { return text.Text{} }
