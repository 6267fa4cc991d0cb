package card

import "idtap/driver"

// Type marks, the unit at bytes 248-249.
const (
	markResident = ' '
	markHMT      = 'J'
	mark2017     = 'I'
	mark2023     = 'Y'
)

const markOffset = 248

// block is the text of a card as code units. Offsets and lengths below are in
// bytes, as the sources' tables have them.
type block []uint16

func (b block) at(offset, length int) Text {
	return Text(b[offset/2 : (offset+length)/2 : (offset+length)/2])
}

// Parse lays a raw card out by its type mark. It never fails: a block with an
// unknown mark is a Document of kind Unknown without fields, and what is wrong
// with a field is identity's to find. The document does not share memory with
// the raw card's text, but does with its photo.
func Parse(raw driver.RawCard) Document {
	units := make([]uint16, 128+35*len(raw.Addresses))
	b := block(units[:128])
	decode(b, raw.Text[:])
	d := Document{Kind: Unknown, Mark: b[markOffset/2], Photo: raw.Photo, raw: raw.Text}
	switch d.Mark {
	case markResident:
		d.Kind = Resident
		d.resident(b)
	case markHMT:
		d.Kind = HMTPermit
		d.hmtPermit(b)
	case mark2017:
		d.Kind = ForeignPR2017
		d.foreign2017(b)
	case mark2023:
		d.Kind = ForeignPR2023
		d.foreign2023(b)
	}
	if n := len(raw.Addresses); n > 0 {
		d.Appended = make([]Text, n)
		for i := range raw.Addresses {
			t := units[128+35*i : 128+35*(i+1) : 128+35*(i+1)]
			decode(t, raw.Addresses[i][:])
			d.Appended[i] = t
		}
	}
	return d
}

func decode(dst []uint16, src []byte) {
	for i := range dst {
		dst[i] = uint16(src[2*i]) | uint16(src[2*i+1])<<8
	}
}

// resident is the layout of GA/T 490 [WIKI, QWM, SDTC, DK, READINFO].
func (d *Document) resident(b block) {
	d.Name = b.at(0, 30)
	d.Sex = b.at(30, 2)
	d.Ethnic = b.at(32, 4)
	d.Birth = b.at(36, 16)
	d.Address = b.at(52, 70)
	d.Number = b.at(122, 36)
	d.Authority = b.at(158, 30)
	d.ValidFrom = b.at(188, 16)
	d.ValidTo = b.at(204, 16)
}

// hmtPermit differs from resident in having no ethnic group and in what follows
// the dates [READINFO, THPR, DK, YZF].
func (d *Document) hmtPermit(b block) {
	d.resident(b)
	d.Ethnic = nil
	d.PassNumber = b.at(220, 18)
	d.IssueCount = b.at(238, 4)
}

// foreign2017 is the table of the 2017 edition [AFZ, READINFO, THPR, YZF, CENTERM].
func (d *Document) foreign2017(b block) {
	d.NameEn = b.at(0, 120)
	d.Sex = b.at(120, 2)
	d.Number = b.at(122, 30)
	d.Nationality = b.at(152, 6)
	d.Name = b.at(158, 30)
	d.ValidFrom = b.at(188, 16)
	d.ValidTo = b.at(204, 16)
	d.Birth = b.at(220, 16)
	d.Version = b.at(236, 4)
	d.AuthorityCode = b.at(240, 8)
}

// foreign2023 is the table of the 2023 edition [READINFO, THPR, EAST840]. One
// source labels bytes 32-35 as ethnic group [YZF]; it carried its labels over
// from the J layout.
func (d *Document) foreign2023(b block) {
	d.Name = b.at(0, 30)
	d.Sex = b.at(30, 2)
	d.Renewals = b.at(32, 4)
	d.Birth = b.at(36, 16)
	d.NameEn = append(append(make(Text, 0, 46), b.at(52, 70)...), b.at(220, 22)...)
	d.Number = b.at(122, 36)
	d.ValidFrom = b.at(188, 16)
	d.ValidTo = b.at(204, 16)
	d.Nationality = b.at(242, 6)
	d.OldLink = b.at(250, 6)
}

// Trim cuts the padding off both ends: U+0020 and U+0000, and U+3000, which
// some software pads with. The result shares memory with t.
func (t Text) Trim() Text {
	for len(t) > 0 && isPadding(t[0]) {
		t = t[1:]
	}
	for len(t) > 0 && isPadding(t[len(t)-1]) {
		t = t[:len(t)-1]
	}
	return t
}

func isPadding(u uint16) bool { return u == ' ' || u == 0 || u == 0x3000 }

// Blank reports whether the whole text block is padding: a chip that was never
// written, or a reader that answers with an empty block.
func (d Document) Blank() bool {
	for i := 0; i < len(d.raw); i += 2 {
		if !isPadding(uint16(d.raw[i]) | uint16(d.raw[i+1])<<8) {
			return false
		}
	}
	return true
}
