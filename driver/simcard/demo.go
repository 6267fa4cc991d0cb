package simcard

// demoCards is how many cards Demo gives: two hours of a demonstration.
const demoCards = 2400

// Demo is what the demonstration shows: first one card of every kind of case that
// a desk meets, then generated ones.
func Demo() []Card { return append(specimens(), Generate(1, demoCards)...) }

// specimens are the first cards of Demo. Numbers are the standard's examples,
// published specimens, or made like those of [Generate].
func specimens() []Card {
	return []Card{
		{Kind: Resident, Name: "样本甲子", Sex: "2", Ethnic: "01", Birth: "19491231", Number: "11010519491231002X",
			Address: "北京市朝阳区样本街道测试路1号", Authority: "北京市公安局朝阳分局", ValidFrom: "20160315", ValidTo: "长期"},
		// a newer household address, from 30 03
		{Kind: Resident, Name: "样本乙丑", Sex: "1", Ethnic: "03", Birth: "19920412", Number: citizen("62042219920412901"),
			Address: "甘肃省白银市会宁县样本镇测试村3组12号", Authority: "会宁县公安局", ValidFrom: "20180605", ValidTo: "20380605",
			Appended: []string{"河南省郑州市金水区样本镇测试村1组8号"}},
		// a rare character, at the private-use place where older cards have it
		{Kind: Resident, NameUnits: []uint16{0x6B27, 0x9633, 0xE863}, Sex: "1", Ethnic: "01", Birth: "19851020", Number: citizen("34122119851020903"),
			Address: "安徽省阜阳市临泉县样本镇测试村5组31号", Authority: "临泉县公安局", ValidFrom: "20150810", ValidTo: "20350810"},
		{Kind: HMTPermit, Name: "样本丙寅", Sex: "2", Birth: "19940823", Number: "810000199408230021",
			Address: "广东省深圳市罗湖区样本街道测试路2号", Authority: "深圳市公安局", ValidFrom: "20230901", ValidTo: "20280901",
			PassNumber: "H00000001", IssueCount: "01"},
		{Kind: ForeignPR2023, Name: "样本丁卯", NameEn: "SPECIMEN ALPHA, BRAVO CHARLIE DELTA ECHO", Sex: "1", Birth: "19850101",
			Number: "932682198501010017", Nationality: "SAU", ValidFrom: "20240115", ValidTo: "20340115", Renewals: "01", OldLink: "051"},
		// expired
		{Kind: Resident, Name: "样本戊辰", Sex: "2", Ethnic: "05", Birth: "20050708", Number: citizen("65312520050708900"),
			Address: "新疆维吾尔自治区喀什地区莎车县样本镇测试村2组6号", Authority: "莎车县公安局", ValidFrom: "20180420", ValidTo: "20230420"},
		{Kind: ForeignPR2017, Name: "样本己巳", NameEn: "SPECIMEN FOXTROT, GOLF HOTEL", Sex: "2", Birth: "19901231",
			Number: "KAZ110090123105", Nationality: "KAZ", ValidFrom: "20190520", ValidTo: "20290520", Version: "01", AuthorityCode: "1100"},
		// something that is no ID card
		{Kind: Resident, Refuse: 0x40},
		// a child
		{Kind: Resident, Name: "样本庚午·测试", Sex: "1", Ethnic: "08", Birth: "20180601", Number: citizen("45092320180601905"),
			Address: "广西壮族自治区玉林市博白县样本镇测试村9组77号", Authority: "博白县公安局", ValidFrom: "20240301", ValidTo: "20290301"},
	}
}
