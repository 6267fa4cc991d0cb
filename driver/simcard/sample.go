package simcard

// Samples returns one card of each kind with the numbers of published samples:
// the example of GB 11643, the police specimens of the permits, the sample
// numbers of both foreigners' cards.
func Samples() []Card {
	return []Card{SampleResident(), SampleHMTPermit(), SampleForeignPR2017(), SampleForeignPR2023()}
}

// SampleResident returns the example of GB 11643 as a long-term card.
func SampleResident() Card {
	return Card{Kind: Resident, Name: "样本", Sex: "2", Ethnic: "01", Birth: "19491231",
		Address: "甘肃省会宁县会师镇样本路1号", Number: "11010519491231002X", Authority: "会宁县公安局",
		ValidFrom: "20100101", ValidTo: "长期"}
}

// SampleHMTPermit returns the police specimen of a Hong Kong resident.
func SampleHMTPermit() Card {
	return Card{Kind: HMTPermit, Name: "证件样本", Sex: "2", Birth: "19940823", Address: "河南省郑州市金水区样本路2号",
		Number: "810000199408230021", Authority: "郑州市公安局", ValidFrom: "20240301", ValidTo: "20290301",
		PassNumber: "H00000000", IssueCount: "01"}
}

// SampleForeignPR2017 returns a card of 2017 with a published sample number.
func SampleForeignPR2017() Card {
	return Card{Kind: ForeignPR2017, NameEn: "SAMPLE, ZHENGJIAN YANGBEN", Name: "证件样本", Sex: "2", Birth: "19901231",
		Number: "KAZ110090123105", Nationality: "KAZ", Version: "01", AuthorityCode: "1100", ValidFrom: "20180601", ValidTo: "20280601"}
}

// SampleForeignPR2023 returns a card of 2023 with a published sample number, its
// English name across both fields.
func SampleForeignPR2023() Card {
	return Card{Kind: ForeignPR2023, NameEn: "SPECIMEN ZHENGJIANYANGBEN BIN ABDULLAH SAMPLE", Name: "证件样本", Sex: "1", Birth: "19850101",
		Number: "932682198501010017", Nationality: "SAU", Renewals: "01", ValidFrom: "20240101", ValidTo: "20340101", OldLink: "013"}
}
