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
	CodeAddressDivided        = "address_division_divided"
	CodeFieldMissing          = "field_missing"
	CodePassNumberForm        = "pass_number_form"
	CodeNumberCentury         = "number_born_1800s"

	CodeNumberNormalised = "number_normalised"
	CodeNumberCheck731   = "number_check_731"
	CodeDivisionHistoric = "division_historic"
	CodeDotUnified       = "dot_unified"
	CodePrivateUseMapped = "private_use_mapped"
)

var catalogue = []rule{
	{CodeCardBlank, Error, "", NoAction, true},
	{CodeKindUnknown, Error, fieldKind, NoAction, true},
	{CodeNumberLength, Error, fieldNumber, Compare, true},
	{CodeNumberCharset, Error, fieldNumber, Compare, true},
	{CodeNumberCheck, Error, fieldNumber, Compare, true},
	{CodeBirthInvalid, Error, fieldBirth, Compare, true},
	{CodeBirthFuture, Error, fieldBirth, Compare, true},
	{CodeDateUnparsable, Error, fieldBirth, Compare, true},
	{CodeValidityReversed, Error, fieldValidTo, Compare, true},
	{CodeNameEmpty, Error, fieldName, Compare, true},
	{CodeTextUndecodable, Error, fieldName, Compare, true},

	{CodeNumberPrefixUnknown, Warn, fieldNumber, Compare, true},
	{CodeDivisionUnknown, Warn, fieldNumber, Compare, true},
	{CodeDocTypeMismatch, Warn, fieldNumber, Compare, true},
	{CodeSexUnknown, Warn, fieldSex, Compare, true},
	{CodeSexNumberMismatch, Warn, fieldSex, Compare, true},
	{CodeBirthNumberMismatch, Warn, fieldBirth, Compare, true},
	{CodeAgeOver120, Warn, fieldBirth, Compare, true},
	{CodeClockUntrusted, Warn, fieldClock, NoAction, true},
	{CodeCardExpired, Warn, fieldValidTo, NoAction, false},
	{CodeValidityMissing, Warn, fieldValidFrom, Compare, true},
	{CodeValidFromFuture, Warn, fieldValidFrom, Compare, true},
	{CodeValidFromTooEarly, Warn, fieldValidFrom, Compare, true},
	{CodeValidityTermUnusual, Warn, fieldValidTo, Compare, true},
	{CodeEthnicUnknown, Warn, fieldEthnic, Compare, true},
	{CodeEthnicRemapped, Warn, fieldEthnic, Compare, true},
	{CodeNationalityUnknown, Warn, fieldNationality, Compare, true},
	{CodePRNationalityMismatch, Warn, fieldNationality, Compare, true},
	{CodeNamePrivateUse, Warn, fieldName, Compare, true},
	{CodeNameTruncated, Warn, fieldName, Compare, false},
	{CodeNameInnerSpace, Warn, fieldName, Compare, true},
	{CodeTextPrivateUse, Warn, fieldHukou, Compare, true},
	{CodeUnpairedSurrogate, Warn, fieldName, Compare, true},
	{CodeCharacterUnusual, Warn, fieldName, Compare, true},
	{CodeAddressUnresolved, Warn, fieldHukou, Compare, true},
	{CodeAddressTruncated, Warn, fieldHukou, Compare, false},
	{CodeDummyNumber, Warn, fieldNumber, Compare, true},
	{CodeLegacy15, Warn, fieldNumber, NoAction, false},
	{CodeAddressDivided, Warn, fieldHukou, Compare, false},
	{CodeFieldMissing, Warn, fieldAuthority, Compare, true},
	{CodePassNumberForm, Warn, fieldPassNumber, Compare, true},
	{CodeNumberCentury, Warn, fieldNumber, Compare, false},

	{CodeNumberNormalised, Info, fieldNumber, NoAction, false},
	{CodeNumberCheck731, Info, fieldNumber, NoAction, true},
	{CodeDivisionHistoric, Info, fieldNumber, NoAction, false},
	{CodeDotUnified, Info, fieldName, NoAction, false},
	{CodePrivateUseMapped, Info, fieldName, NoAction, true},
}
