package identity

import (
	"idtap/reader/card"
	"idtap/reader/identity/division"
)

// hukou reads the household addresses and resolves the newest one. Appended
// addresses are changed hukou addresses, blank slots are none.
func (c *checker) hukou(doc card.Document) {
	c.PrintedAddress = c.address(doc.Address, fieldPrinted)
	c.HukouAddress = c.PrintedAddress
	for _, t := range doc.Appended {
		if a := c.address(t, fieldAppended); a != "" {
			c.Appended = append(c.Appended, a)
			c.HukouAddress = a
		}
	}
	r := division.Resolve(c.HukouAddress)
	if c.decided != nil {
		r = *c.decided
	}
	c.Division, c.Path = r.Code, r.Path
	switch {
	case r.Code == "":
		c.Confidence = None
	case r.County:
		c.Confidence = Full
	default:
		c.Confidence = Partial
	}
	c.Successors = r.Successors
	switch {
	case r.Retired != "":
		c.add(CodeAddressDivided, fieldHukou, "")
	case c.Confidence != Full:
		c.add(CodeAddressUnresolved, fieldHukou, "")
	}
}

// relateAny relates a hukou division to the desk's, or where the address names a
// unit that was divided, its successors: what holds for all of them is certain.
func (c *checker) relateAny(desk string) Relation {
	if len(c.Successors) == 0 {
		return relate(c.Kind, c.Division, desk)
	}
	first := relate(c.Kind, c.Successors[0], desk)
	for _, s := range c.Successors[1:] {
		if relate(c.Kind, s, desk) != first {
			return UnknownRelation
		}
	}
	return first
}

// relate compares the hukou division with the desk's as the census of 2020
// does (bulletin no. 7): who moves between the districts of one city is no
// migrant. Codes count as what they are today. What a code leaves open (an
// address resolved to its prefecture only, a retired prefecture) is not guessed:
// then only a difference that is certain is told.
func relate(kind card.Kind, hukou, desk string) Relation {
	switch kind {
	case card.HMTPermit:
		return HMT
	case card.ForeignPR2017, card.ForeignPR2023:
		return Foreign
	}
	if hukou == "" || len(desk) != 6 || !division.MainlandProvince(desk[:2]) {
		return UnknownRelation
	}
	hukou, desk = division.Current(hukou), division.Current(desk)
	switch {
	case hukou[:2] != desk[:2]:
		return OtherProvince
	case hukou == desk && division.IsCounty(desk):
		return SameCounty
	case !division.KnownPrefecture(hukou) || !division.KnownPrefecture(desk):
		return UnknownRelation
	case !division.SamePrefecture(hukou, desk):
		return SameProvince
	case !division.IsCounty(hukou) || !division.IsCounty(desk):
		return UnknownRelation
	case division.IsDistrict(hukou) && division.IsDistrict(desk):
		return SameCityDistricts
	}
	return SamePrefecture
}
