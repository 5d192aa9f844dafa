# ruff: noqa: RUF001 - words of other languages look like Latin letters
import pytest

from shared.domain.languages import detected, language_for

TEXTS = {
    "bg": "Здравейте, от вчера принтерът на втория етаж не печата. Моля да проверите какво му е. Благодаря!",
    "de": "Guten Morgen, seit gestern druckt der Drucker im zweiten Stock nicht mehr. Können Sie bitte nachsehen?",
    "en": "Hi, since yesterday the printer on the second floor has not been printing. Could you have a look please?",
    "es": "Buenos días, desde ayer la impresora de la segunda planta no imprime. ¿Pueden ayudarme, por favor?",
    "fr": "Bonjour, depuis hier l'imprimante du deuxième étage n'imprime plus. Pouvez-vous regarder, s'il vous plaît ?",
    "it": "Buongiorno, da ieri la stampante del secondo piano non stampa più. Potete controllare per favore? Grazie.",
    "nl": "Goedemorgen, sinds gisteren print de printer op de tweede verdieping niet meer. Kunt u even kijken?",
    "pl": "Dzień dobry, od wczoraj drukarka na drugim piętrze nie drukuje. Proszę o pomoc i dziękuję.",
    "pt": "Bom dia, desde ontem a impressora do segundo andar não imprime. Vocês podem verificar, por favor?",
    "ru": "Добрый день! Со вчерашнего дня принтер на втором этаже не печатает. Посмотрите, пожалуйста, что с ним.",
    "uk": "Добрий день! З учорашнього дня принтер на другому поверсі не друкує. Подивіться, будь ласка, що з ним.",
}


@pytest.mark.parametrize("language", TEXTS)
def test_a_few_sentences_tell_their_language(language):
    assert detected(TEXTS[language]) == language


@pytest.mark.parametrize(
    "text",
    [
        "",
        "OK",
        "SUP-17 0x80070005 E_ACCESSDENIED",
        "プリンターが動きません。確認してください。",
        "Hej, sedan igår fungerar inte skrivaren på andra våningen. Kan ni titta på det? Tack på förhand.",
        "Tisztelt Ügyfélszolgálat! A februári számla hiányzik a fiókomból, kérem, küldjék el új címemre a számlát.",
        "Merhaba, dünden beri ikinci kattaki yazıcı çalışmıyor. Bakabilir misiniz lütfen?",
    ],
)
def test_a_text_that_is_too_short_or_in_another_language_tells_none(text):
    assert detected(text) == ""


def test_a_text_in_two_languages_tells_neither():
    assert detected(TEXTS["es"] + TEXTS["pt"]) == ""


def test_a_few_words_in_much_that_is_no_language_tell_nothing():
    assert detected("the printer is on " + "srv backup node cluster disk raid controller firmware " * 10) == ""


@pytest.mark.parametrize(
    ("contact", "text", "declared", "language"),
    [
        ("fr", TEXTS["de"], "en-US", "fr"),
        ("", TEXTS["de"], "en-US", "de"),
        ("", "OK", "de-AT, en;q=0.5", "de"),
        ("", "OK", "ja, fr", "fr"),
        ("", "OK", "", "es"),
        ("pt_BR", "", "", "pt"),
        ("ja", "", "", "es"),
    ],
)
def test_people_are_answered_in_their_own_language_then_in_the_one_they_write(contact, text, declared, language):
    chosen = language_for(contact=contact, text=text, declared=declared, default="es", available=TEXTS)

    assert chosen == language


def test_where_nothing_fits_english_does():
    assert language_for(contact="", text="", declared="", default="tlh", available=TEXTS) == "en"
