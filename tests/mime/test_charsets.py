import pytest

from shared.mime.charsets import codec, decode
from shared.mime.defects import Defect


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("GB2312", "gb18030"),
        ("gbk", "gb18030"),
        ("cp936", "gb18030"),
        ("ks_c_5601-1987", "cp949"),
        ("EUC-KR", "cp949"),
        ("iso-8859-1", "cp1252"),
        ("ISO_8859-1:1987", "cp1252"),
        ("latin1", "cp1252"),
        ("Windows-1252", "cp1252"),
        ("cp-1251", "cp1251"),
        ("x-cp1250", "cp1250"),
        ("win-1257", "cp1257"),
        ("ISO-8859-8-I", "cp1255"),
        ("csISO88598I", "cp1255"),
        ("iso88592", "iso8859_2"),
        ("iso8859-15", "iso8859_15"),
        ("KSC_5601", "cp949"),
        ("iso-8859-9", "cp1254"),
        ("TIS-620", "cp874"),
        ("windows-874", "cp874"),
        ("Shift_JIS", "cp932"),
        ("windows-31j", "cp932"),
        ("x-sjis", "cp932"),
        ("Big5", "big5hkscs"),
        ("koi8-u", "koi8_u"),
        ("UTF8", "utf_8"),
        ('"utf-8"', "utf_8"),
        ("unicode-1-1-utf-7", "utf_7"),
        ("us-ascii", "ascii"),
        ("x-mac-cyrillic", "mac_cyrillic"),
    ],
)
def test_a_charset_is_known_by_the_names_that_mail_programs_give_it(name, expected):
    assert codec(name) == expected


@pytest.mark.parametrize("name", ["", "x-unknown", "8bit", "base64", "hex", "rot13", "idna", "punycode", "undefined",
                                  "unicode_escape", "zlib", "../etc", "\0", "x" * 10_000])  # fmt: skip
def test_what_is_no_charset_of_text_is_unknown(name):
    assert codec(name) is None


@pytest.mark.parametrize(
    ("raw", "charset", "text", "defect"),
    [
        (b"plain", "x-our-own", "plain", None),
        ("Grüße".encode(), "utf-8", "Grüße", None),
        ("Grüße".encode(), "", "Grüße", Defect.CHARSET_MISSING),
        ("Grüße".encode(), "iso-8859-1", "Grüße", Defect.CHARSET_WRONG),
        ("Grüße".encode("cp1252"), "utf-8", "Grüße", Defect.CHARSET_WRONG),
        ("Grüße".encode("cp1252"), "", "Grüße", Defect.CHARSET_MISSING),
        ("Grüße".encode("cp1252"), "x-our-own", "Grüße", Defect.CHARSET_UNKNOWN),
        ("Grüße".encode("cp1252"), "us-ascii", "Grüße", Defect.CHARSET_WRONG),
        ("“€5”".encode("cp1252"), "iso-8859-1", "“€5”", None),
        ("Grüße".encode(), "utf-16", "Grüße", Defect.CHARSET_WRONG),
        ("Grüße".encode("utf-16"), "utf-16", "Grüße", None),
        ("\ufeffGrüße".encode(), "utf-8", "Grüße", None),
        ("日本語のテスト".encode("iso-2022-jp"), "us-ascii", "日本語のテスト", Defect.CHARSET_WRONG),
        ("日本語".encode("cp932"), "iso-2022-jp", "日本語", Defect.CHARSET_DAMAGED),
        ("您好".encode("gb18030"), "gb2312", "您好", None),
        ("喆镕".encode("gb18030"), "gb2312", "喆镕", None),
        ("caf\u00e9 \ud83d\ude00".encode(errors="surrogatepass"), "utf-8", "café 😀", Defect.CHARSET_DAMAGED),
        (b"+2AA-x", "utf-7", "\ufffdx", None),
    ],
)
def test_text_is_read_in_the_charset_it_is_really_in(raw, charset, text, defect):
    assert decode(raw, charset) == (text, defect)


def test_a_few_damaged_bytes_do_not_turn_utf_8_into_something_else():
    raw = "Łódź, Kraków, Gdańsk, Wrocław".encode()

    text, defect = decode(raw[:-6] + b"\xff" + raw[-5:], "utf-8")

    assert text.startswith("Łódź, Kraków, Gdańsk")
    assert defect is Defect.CHARSET_DAMAGED


def test_text_cut_within_a_character_stays_utf_8():
    assert decode("Привет, Анна".encode()[:-1], "utf-8") == ("Привет, Анн\ufffd", Defect.CHARSET_DAMAGED)
    assert decode("Danke 😀".encode()[:-1], "utf-8") == ("Danke \ufffd", Defect.CHARSET_DAMAGED)


def test_without_a_declaration_the_charset_of_the_rest_of_the_message_is_tried():
    raw = "Здравствуйте".encode("koi8-r")

    assert decode(raw, "", sibling="koi8-r") == ("Здравствуйте", Defect.CHARSET_MISSING)


def test_japanese_mail_may_hold_the_characters_that_only_windows_has():
    raw = b"\x1b$B\x7cb66\x2d!\x1b(B ok \x1b(I:C\x1b(B"

    assert decode(raw, "iso-2022-jp")[0] == "髙橋① ok ｺﾃ"
    assert decode(b"\xfc\xe2\xb6\xb6\xad\xa1 ok \x8e\xba\x8e\xc3", "euc-jp")[0] == "髙橋① ok ｺﾃ"


@pytest.mark.parametrize(
    ("charset", "written"),
    [("cp1251", "Вопрос по договору"), ("koi8-r", "Привет"), ("cp1253", "Καλημέρα σας"), ("cp874", "สวัสดีครับ"),
     ("cp1256", "السلام عليكم"), ("big5", "您好我無法登入系統請幫忙處理"), ("gbk", "关于会议室预订的问题"),
     ("cp949", "안녕하세요"), ("cp932", "会議室の予約について"), ("euc-jp", "会議室の予約について"),
     ("cp1252", "Größenüberprüfung"), ("cp1252", "Ça a déjà été réglé à l'été")],
)  # fmt: skip
def test_a_charset_that_is_declared_nowhere_is_told_by_the_writing(charset, written):
    assert decode(written.encode(charset))[0] == written
