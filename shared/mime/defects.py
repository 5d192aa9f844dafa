"""What can be broken in a message and was repaired or left out; the values are stored and never change."""

from enum import StrEnum


class Defect(StrEnum):
    ADDRESS_INVALID = "address-invalid"
    BASE64_INVALID = "base64-invalid"
    BOUNDARY_WRONG = "boundary-wrong"  # the declared one never occurs; another one was found
    CHARSET_DAMAGED = "charset-damaged"  # some bytes are none of the declared charset
    CHARSET_MISSING = "charset-missing"  # 8-bit text without a declaration
    CHARSET_UNKNOWN = "charset-unknown"
    CHARSET_WRONG = "charset-wrong"  # the text is in another charset than declared
    DATE_INVALID = "date-invalid"
    FROM_REPEATED = "from-repeated"
    HEADER_INVALID = "header-invalid"  # lines in the header that are no fields
    HEADER_TOO_LARGE = "header-too-large"
    MESSAGE_ID_INVALID = "message-id-invalid"
    MULTIPART_EMPTY = "multipart-empty"  # declared as multipart, but there are no parts
    MULTIPART_UNTERMINATED = "multipart-unterminated"
    QUOTED_PRINTABLE_INVALID = "quoted-printable-invalid"
    TEXT_CUT = "text-cut"
    TOO_DEEP = "too-deep"
    TOO_MANY_ADDRESSES = "too-many-addresses"
    TOO_MANY_PARTS = "too-many-parts"
    TRANSFER_ENCODING_UNKNOWN = "transfer-encoding-unknown"
