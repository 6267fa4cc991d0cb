package identity

// Codes of findings. They are part of the event contract.
const (
	CodeCardBlank        = "card_blank"
	CodeKindUnknown      = "kind_unknown"
	CodeNumberLength     = "number_length"
	CodeNumberCharset    = "number_charset"
	CodeNumberCheck      = "number_check"
	CodeBirthInvalid     = "birth_invalid"
	CodeBirthFuture      = "birth_future"
	CodeDateUnparsable   = "date_unparsable"
	CodeValidityReversed = "validity_reversed"
	CodeNameEmpty        = "name_empty"
	CodeTextUndecodable  = "text_undecodable"

	CodeNumberPrefixUnknown   = "number_prefix_unknown"
	CodeDivisionUnknown       = "division_unknown"
	CodeDocTypeMismatch       = "doc_type_mismatch"
	CodeSexUnknown            = "sex_unknown"
	CodeSexNumberMismatch     = "sex_number_mismatch"
	CodeBirthNumberMismatch   = "birth_number_mismatch"
	CodeAgeOver120            = "age_over_120"
	CodeClockUntrusted        = "clock_untrusted"
	CodeCardExpired           = "card_expired"
	CodeValidityMissing       = "validity_missing"
	CodeValidFromFuture       = "valid_from_future"
	CodeValidFromTooEarly     = "valid_from_too_early"
	CodeValidityTermUnusual   = "validity_term_unusual"
	CodeEthnicUnknown         = "ethnic_code_unknown"
	CodeEthnicRemapped        = "ethnic_code_remapped"
	CodeNationalityUnknown    = "nationality_unknown"
	CodePRNationalityMismatch = "pr_nationality_mismatch"
	CodeNamePrivateUse        = "name_private_use"
	CodeNameTruncated         = "name_maybe_truncated"
	CodeNameInnerSpace        = "name_inner_space"
	CodeTextPrivateUse        = "text_private_use"
	CodeUnpairedSurrogate     = "unpaired_surrogate"
	CodeCharacterUnusual      = "character_unusual"
	CodeAddressUnresolved     = "address_unresolved"
	CodeAddressTruncated      = "address_maybe_truncated"
	CodeDummyNumber           = "dummy_number"
	CodeLegacy15              = "legacy15"

	CodeNumberNormalised = "number_normalised"
	CodeNumberCheck731   = "number_check_731"
	CodeDivisionHistoric = "division_historic"
	CodeDotUnified       = "dot_unified"
	CodePrivateUseMapped = "private_use_mapped"
)

// What a clerk is told more than once.
var (
	tapAgain = Text{"拿起证件再放一次；若两次读出相同，与证件表面核对后确认。", "Lift the card and place it again; if it reads the same twice, compare with the printed card and confirm."}
	compare  = Text{"与证件表面核对，一致即确认。", "Compare with the printed card and confirm if it agrees."}
	nothing  = Text{"无需处理。", "Nothing to do."}

	checkLine   = Text{"反复出现时用 idtap diag 检查线路、波特率和读卡器。", "If it repeats, check line, baud rate and reader with idtap diag."}
	sendCapture = Text{"反复出现时用 idtap diag --capture 保存脱敏报文并反馈。", "If it repeats, keep a blanked trace with idtap diag --capture and report it."}
	leave       = Text{"无需处理。", "Nothing to do."}
)

var catalogue = []Entry{
	{CodeCardBlank, Error, "", Text{"芯片内无信息", "The chip is blank"},
		Text{"读到的文字区全为空白：芯片未写入、损坏，或读卡器返回空数据。", "The text block is all padding: a chip never written or damaged, or a reader that answers with nothing."},
		NoAction, Text{"拿起证件再放一次；仍为空白请按其他方式登记。", "Lift the card and place it again; if it stays blank, register the person another way."},
		Text{"换一张证件试读；都为空白则更换读卡器。", "Try another card; if all are blank, change the reader."}, true},
	{CodeKindUnknown, Error, fieldKind, Text{"不认识的证件类型", "Unknown type of document"},
		Text{"类型标识不在已知四种之内，字段无法可靠解释。", "The type mark is none of the four known; its fields cannot be told reliably."},
		NoAction, Text{"拿起证件再放一次；仍不认识请按其他方式登记。", "Lift the card and place it again; if it stays unknown, register the person another way."},
		sendCapture, true},
	{CodeNumberLength, Error, fieldNumber, Text{"证件号码长度不对", "The number has a wrong length"},
		Text{"号码应为 18 位（2017 版外国人证 15 位）。", "Numbers have 18 characters, on 2017 foreign cards 15."},
		Compare, tapAgain, checkLine, true},
	{CodeNumberCharset, Error, fieldNumber, Text{"证件号码含有不允许的字符", "The number has characters that do not belong"},
		Text{"除末位 X（或 2017 版前三个字母）外只能是数字。", "Only digits, a final X, or three leading letters on 2017 cards."},
		Compare, tapAgain, checkLine, true},
	{CodeNumberCheck, Error, fieldNumber, Text{"证件号码校验位不符", "The number's check character is wrong"},
		Text{"读取受损、录入错误或伪造；正常芯片上未见过。", "Damaged reading, a typing error or forgery; not known from sound chips."},
		Compare, tapAgain, checkLine, true},
	{CodeBirthInvalid, Error, fieldBirth, Text{"出生日期不存在", "The birth date does not exist"},
		Text{"日历上没有这一天。", "The calendar has no such day."},
		Compare, tapAgain, checkLine, true},
	{CodeBirthFuture, Error, fieldBirth, Text{"出生日期在将来", "The birth date lies in the future"},
		Text{"晚于今天或晚于证件签发日。", "It is after today, or after the day the card was issued."},
		Compare, tapAgain, Text{"核对本机日期，再检查线路。", "Check this machine's date, then the line."}, true},
	{CodeDateUnparsable, Error, fieldBirth, Text{"日期无法识别", "A date cannot be read"},
		Text{"应为八位数字，或“长期”。", "A date is eight digits, or 长期."},
		Compare, tapAgain, checkLine, true},
	{CodeValidityReversed, Error, fieldValidTo, Text{"有效期截止早于起始", "The card ends before it begins"},
		Text{"两个日期之一读取受损。", "One of the two dates was damaged."},
		Compare, tapAgain, checkLine, true},
	{CodeNameEmpty, Error, fieldName, Text{"姓名为空", "The name is empty"},
		Text{"姓名栏只有空白。", "The name field holds only padding."},
		Compare, tapAgain, checkLine, true},
	{CodeTextUndecodable, Error, fieldName, Text{"文字无法解码", "Text cannot be decoded"},
		Text{"含有控制字符或非字符，任何文字都不会有。", "It holds controls or non-characters, which no text carries."},
		Compare, tapAgain, checkLine, true},

	{CodeNumberPrefixUnknown, Warn, fieldNumber, Text{"号码前缀不认识", "The number's prefix is unknown"},
		Text{"前两位不是任何省份，校验位可能正确。", "Its first digits are no province's, though the rest may be right."},
		Compare, compare, leave, true},
	{CodeDivisionUnknown, Warn, fieldNumber, Text{"号码中的行政区划代码未收录", "The division code in the number is not in the table"},
		Text{"地方自编代码或很早的代码；真实证件上会有。", "A local or very old code; genuine cards carry such codes."},
		Compare, compare, Text{"可反馈前六位，以补充区划表。", "Report the six digits so that the table can be completed."}, true},
	{CodeDocTypeMismatch, Warn, fieldNumber, Text{"号码与证件类型不一致", "The number is not of the card's type"},
		Text{"以芯片的类型标识为准。", "The chip's own type mark is taken."},
		Compare, compare, sendCapture, true},
	{CodeSexUnknown, Warn, fieldSex, Text{"性别代码不是男或女", "The sex code is neither male nor female"},
		Text{"芯片上为 0、9 或其他代码。", "The chip has 0, 9 or another code."},
		Compare, compare, leave, true},
	{CodeSexNumberMismatch, Warn, fieldSex, Text{"性别与号码不一致", "The sex differs from the number"},
		Text{"早年人工编号或变更性别后尚未换号；真实证件上会有。", "Numbers made by hand in the 1980s, or a change not yet followed by a new number; it occurs on genuine cards."},
		Compare, compare, leave, true},
	{CodeBirthNumberMismatch, Warn, fieldBirth, Text{"出生日期与号码不一致", "The birth date differs from the number"},
		Text{"更正出生日期后尚未换号；真实证件上会有。", "The birth date was corrected and the number not yet; it occurs on genuine cards."},
		Compare, compare, leave, true},
	{CodeAgeOver120, Warn, fieldBirth, Text{"年龄超过 120 岁", "Older than 120 years"},
		Text{"极少见，但号码标准自身的例子即出生于 1880 年。", "Very rare; the number standard's own example was born in 1880."},
		Compare, compare, leave, true},
	{CodeClockUntrusted, Warn, fieldClock, Text{"本机时间不可信", "This machine's clock cannot be right"},
		Text{"早于本程序的制作日期，或证件似乎在将来签发：年龄和有效期不作判断。", "It is before this program was built, or the card seems issued in the future: age and validity are not judged."},
		NoAction, Text{"照常登记，并通知技术员校正时间。", "Go on, and tell the technician to set the clock."},
		Text{"校正本机日期和时间，检查时间同步和主板电池。", "Set date and time; check time synchronisation and the board's battery."}, true},
	{CodeCardExpired, Warn, fieldValidTo, Text{"证件已过有效期", "The card has expired"},
		Text{"截止日期已过；截止当天仍有效。", "Its last day has passed; the last day itself still counts."},
		NoAction, Text{"按本单位规定办理，并提醒换领。", "Follow the desk's rule, and remind the holder to renew."},
		Text{"由 policy.expired 决定收或不收。", "policy.expired decides whether it is accepted."}, false},
	{CodeValidityMissing, Warn, fieldValidFrom, Text{"有效期缺失", "A date of validity is missing"},
		Text{"芯片该栏为空白。", "The chip's field is blank."},
		Compare, compare, leave, true},
	{CodeValidFromFuture, Warn, fieldValidFrom, Text{"证件尚未生效", "The card is not yet valid"},
		Text{"起始日期晚于今天：本机时间偏慢，或读取受损。", "It begins after today: this machine's clock is slow, or the reading was damaged."},
		Compare, compare, Text{"核对本机日期。", "Check this machine's date."}, true},
	{CodeValidFromTooEarly, Warn, fieldValidFrom, Text{"起始日期早于该类证件开始签发", "It begins before cards of this kind were issued"},
		Text{"二代证 2004 年起，港澳台居住证 2018-09 起，外国人证 2017 版 2017-06 起、2023 版 2023-12 起。", "Resident cards since 2004, permits since 2018-09, foreign cards since 2017-06 and 2023-12."},
		Compare, compare, leave, true},
	{CodeValidityTermUnusual, Warn, fieldValidTo, Text{"有效期长度不常见", "An unusual term of validity"},
		Text{"与申领时年龄对应的期限（5、10、20 年或长期）不符。", "It is not the term of the age at application: 5, 10, 20 years or long-term."},
		Compare, compare, leave, true},
	{CodeEthnicUnknown, Warn, fieldEthnic, Text{"民族代码未收录", "The ethnic code is not in the table"},
		Text{"不在 01-56、97、98 之内；未识别民族的证件上会有。", "It is none of 01-56, 97, 98; cards of unrecognised groups may carry others."},
		Compare, compare, leave, true},
	{CodeEthnicRemapped, Warn, fieldEthnic, Text{"民族代码已换算", "The ethnic code was mapped"},
		Text{"57、58 是 97（其他）、98（外国血统中国籍人士）的另一种写法，原代码保留。", "57 and 58 are another way to write 97 and 98; the chip's own code is kept."},
		Compare, compare, leave, true},
	{CodeNationalityUnknown, Warn, fieldNationality, Text{"国籍代码无法识别", "The nationality cannot be read"},
		Text{"应为三个大写字母。", "It is three capital letters."},
		Compare, compare, checkLine, true},
	{CodePRNationalityMismatch, Warn, fieldNationality, Text{"国籍与号码不一致", "The nationality differs from the number"},
		Text{"号码中为首次签发时的国籍，之后可能变更。", "The number keeps the nationality of the first issue."},
		Compare, compare, leave, true},
	{CodeNamePrivateUse, Warn, fieldName, Text{"姓名含有自造字", "The name has a private character"},
		Text{"早年生僻字以自造字存储，此字含义未知，原码保留。", "Rare characters were once stored privately; this one's meaning is not known, its code is kept."},
		Compare, compare, Text{"把 name_raw 中的代码反馈给登记系统。", "Hand the code in name_raw to the registry."}, true},
	{CodeNameTruncated, Warn, fieldName, Text{"姓名可能被截断", "The name may be cut short"},
		Text{"姓名占满芯片的全部字位。", "It fills the chip's whole field."},
		Compare, compare, leave, false},
	{CodeNameInnerSpace, Warn, fieldName, Text{"姓名中间有空格", "The name has a space inside"},
		Text{"中文姓名一般没有空格；照原样保留。", "Chinese names normally have none; it is kept as it stands."},
		Compare, compare, leave, true},
	{CodeTextPrivateUse, Warn, fieldHukou, Text{"文字含有自造字", "Text has a private character"},
		Text{"地址或签发机关含义未知的自造字，原样保留。", "A character of unknown meaning in address or authority, kept as it stands."},
		Compare, compare, leave, true},
	{CodeUnpairedSurrogate, Warn, fieldName, Text{"文字含有半个字", "Text has half a character"},
		Text{"生僻字的两个代码单元只剩一个，或读取受损。", "Only one of a rare character's two units is there, or the reading was damaged."},
		Compare, compare, checkLine, true},
	{CodeCharacterUnusual, Warn, fieldName, Text{"文字含有不常见的字符", "Text has an unusual character"},
		Text{"该栏一般没有这类字符，可能读取受损。", "The field does not normally hold such characters; the reading may be damaged."},
		Compare, compare, checkLine, true},
	{CodeAddressUnresolved, Warn, fieldHukou, Text{"户籍地未能识别", "The place of household registration was not found"},
		Text{"地址中没有可确定的县级名称，或名称有歧义。", "The address names no county-level unit for certain."},
		Compare, compare, Text{"可反馈地址的省市县部分，以补充区划表。", "Report the province-to-county part so that the table can be completed."}, true},
	{CodeAddressTruncated, Warn, fieldHukou, Text{"地址可能被截断", "The address may be cut short"},
		Text{"地址占满芯片的全部字位。", "It fills the chip's whole field."},
		Compare, compare, leave, false},
	{CodeDummyNumber, Warn, fieldNumber, Text{"号码是占位号", "The number is a place holder"},
		Text{"某些系统给无证人员的假号码，不属于任何人。", "Some systems give such numbers to people without one; it is nobody's."},
		Compare, compare, Text{"导入数据前清除占位号。", "Remove place holders before importing data."}, true},
	{CodeLegacy15, Warn, fieldNumber, Text{"15 位旧号码", "A 15-digit number"},
		Text{"第一代号码，2013 年起停用；已按规则升为 18 位。", "First generation, out of use since 2013; upgraded to 18 by the rule."},
		NoAction, Text{"请以第二代证件为准。", "Ask for the present card."}, leave, false},

	{CodeNumberNormalised, Info, fieldNumber, Text{"号码写法已规范", "The number's spelling was normalised"},
		Text{"小写 x、全角字符或罗马数字 Ⅹ 改为标准写法。", "A small x, full-width forms or the Roman ten were replaced."},
		NoAction, nothing, leave, false},
	{CodeNumberCheck731, Info, fieldNumber, Text{"2017 版号码末位与 7-3-1 规则不符", "The 2017 number does not fit the 7-3-1 check"},
		Text{"该规则只有一个来源，仅供参考。", "The rule is known from one source only and decides nothing."},
		NoAction, nothing, leave, true},
	{CodeDivisionHistoric, Info, fieldNumber, Text{"号码中的区划代码已停用", "The division code in the number is retired"},
		Text{"编号时有效，之后撤并；号码终身不变。", "It was in force when the number was made; a number never changes."},
		NoAction, nothing, leave, false},
	{CodeDotUnified, Info, fieldName, Text{"姓名间隔号已统一", "The middle dot was unified"},
		Text{"汉字之间的间隔号统一为 U+00B7（2016 年 33 号文）。", "Between Han characters it is U+00B7 (rule no. 33 of 2016)."},
		NoAction, nothing, leave, false},
	{CodePrivateUseMapped, Info, fieldName, Text{"自造字已换为标准字", "A private character was replaced by its standard one"},
		Text{"106 个含义确定的代码之一；原码保留在 name_raw。", "One of 106 codes with a settled meaning; the original is in name_raw."},
		NoAction, nothing, leave, true},
}
