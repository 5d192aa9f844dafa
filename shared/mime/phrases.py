# ruff: noqa: RUF001 - the letters of many languages look alike
"""What machines write, in the languages they speak. Each phrase is a pattern; subjects begin with theirs."""

import re
from functools import cache

ABSENCE = (
    # en, de, fr, es, pt, it, nl
    r"out of (?:the )?office\b|away from (?:my |the )?(?:office|desk|(?:e-?)?mail)",
    r"(?:on|am on) (?:annual |parental )?leave\b",
    r"on (?:vacation|holidays?)\b|vacation (?:reply|response|message|notice)|currently away|not in the office|ooo\b",
    r"[^:]{1,60} is (?:currently )?(?:out of (?:the )?office|away|on (?:vacation|leave))",
    r"[^:]{1,60} ist (?:außer haus|abwesend)",
    r"abwesen(?:d|heit)\w*|nicht im (?:büro|hause?)\b|außer haus|im urlaub\b|(?:zurzeit|derzeit) nicht erreichbar",
    r"absente? (?:du|de mon|jusqu|actuellement)|(?:avis|message|notification|gestionnaire) d['’]absence|en congés?\b",
    r"absence du bureau|actuellement absente?|fuera de (?:la |mi )?oficina|de vacaciones|me encuentro ausente",
    r"ausencia\b",
    r"fora do escritório|ausência\b|ausente\b|de férias|fuori (?:sede|ufficio)|sono assente|assenza dall|in ferie\b",
    r"afwezig\w*|niet aanwezig|niet op kantoor|met vakantie|op vakantie",
    # sv, da, nb, fi, et, lv, lt
    r"frånvaro\w*|inte på kontoret|på semester|ikke (?:på kontoret|til stede)|fravær\w*|på ferie\b|ute av kontoret",
    r"poissa(?: toimistosta|oloilmoitus)?\b|lomalla\b|kontorist väljas|puhkusel|prombūtn\w*|atostog\w*|nesu biure",
    # pl, cs, sk, sl, hr, hu, ro, tr, sq
    r"poza biurem|nieobecn\w*|na urlopie|mimo kancel\w*|nepřítom\w*|neprítom\w*|na dovolené|na dovolenke",
    r"odsoten\w*|odsutan\w*|na odmoru",
    r"házon kívül|szabadságon|nem vagyok az irodában|absent(?:ă)? (?:de la|din) birou|în concediu|ofis dışında",
    r"izindeyim",
    # ru, uk, bg, sr, el
    r"вне офиса|в отпуске|нет на (?:рабочем )?месте|отсутству\w*|отсутствие на|поза офісом|у відпустці|відсутн\w*",
    r"извън офиса|в отпуск|отсъства\w*|ван канцеларије|εκτός γραφείου|σε άδεια|απουσ\w*",
    # ja, zh, ko, ar, he, th, vi, id
    r"不在|休暇|外出|休假|不在办公室|不在辦公室|请假|부재|휴가|خارج المكتب|في إجازة|מחוץ למשרד|בחופשה",
    r"ไม่อยู่ที่สำนักงาน|ลาพักร้อน",
    r"vắng mặt|nghỉ phép|sedang cuti|tidak (?:berada )?di kantor",
)

AUTOMATIC_REPLY = (
    # en, de, fr, es, pt, ca, it, nl
    r"auto(?:matic|mated|matisch)?[- ]?(?:e-?mail )?(?:reply|response|answer|responder|acknowledge?ment)",
    r"automatische (?:antwort|rückantwort|eingangsbestätigung)|auto(?:matische )?[- ]?antwort|réponse automatique",
    r"respuesta autom[áa]tica|resposta autom[áa]tica|risposta automatica|automatisch (?:antwoord|bericht)",
    # sv, da, nb, fi, et, lv, lt
    r"auto(?:matiskt? )?svar|automaattinen vastaus|automaatvastus|automātiskā? atbilde|automatinis atsakymas",
    # pl, cs, sk, sl, hr, hu, ro, tr, sq
    r"automatyczna odpowiedź|odpowiedź automatyczna|autoodpowiedź|automatická odpověď|automatická odpoveď",
    r"samodejni odgovor|automatski odgovor|automatikus válasz|răspuns automat|otomatik (?:yanıt|cevap)",
    # ru, uk, bg, sr, el
    r"автоматический ответ|автоответ|автоматична відповідь|автовідповідь|автоматичен отговор|аутоматски одговор",
    r"αυτόματη απάντηση",
    # ja, zh, ko, ar, he, th, vi, id
    r"自動応答|自動返信|自动(?:答复|回复)|自動(?:回覆|回復|答覆)|자동 ?(?:회신|응답)|رد تلقائي|الرد التلقائي",
    r"תשובה אוטומטית|מענה אוטומטי",
    r"ตอบกลับอัตโนมัติ|การตอบกลับอัตโนมัติ|trả lời tự động|balasan otomatis",
)

COURTESY = (
    r"th(?:ank you|anks) for (?:your|contacting|writing|reaching|the) ?(?:e-?mail|message|mail)?",
    r"(?:vielen|besten|herzlichen) dank für (?:ihre|deine) |danke für (?:ihre|deine) ",
    r"merci (?:de|pour) votre (?:message|mail|e-mail|courriel)",
    r"(?:j['’]ai|nous avons) bien reçu votre|gracias por (?:su|tu) (?:mensaje|correo)",
    r"obrigad[oa] (?:por|pelo) (?:seu|sua|e-mail|contato)",
    r"grazie per (?:la (?:sua|tua)|il (?:suo|tuo)|aver)|bedankt voor (?:uw|je) |tack för ditt|tak for din",
    r"takk for (?:din|e-post)",
    r"kiitos viestist|dziękuj[ęe]\w* za (?:wiadomość|kontakt|mail)|děkuj[iu]\w* za (?:váš|vaši|zprávu|e-mail)",
    r"köszön\w+ (?:a )?(?:level|megkeres)",
    r"mulțumesc pentru mesaj|mesajınız için teşekkür|спасибо за (?:ваше|письмо|обращение)|дякую за (?:ваш|лист)",
    r"благодаря за",
    r"メールをいただき|ご連絡ありがとう|お問い合わせ.{0,10}ありがとう|感谢您的(?:来信|邮件)|感謝您的來信",
    r"(?:메일|연락).{0,6}감사",
)

UNDELIVERABLE = (
    # en
    r"undeliver(?:able|ed)|undelivered mail returned",
    r"(?:mail|message|e-?mail) delivery (?:has )?(?:failed|failure|error)",
    r"delivery (?:status notification ?\(failure\)|has failed|failure|notification: delivery has failed|report\b)",
    r"failure notice|failed? (?:mail|delivery)|returned mail|returned to sender|mail (?:system )?(?:error|failure)",
    r"non[- ]?delivery",
    r"mail could not be delivered|could ?n[o']t (?:deliver|be delivered)|permanent delivery failure",
    r"nondeliverable mail",
    r"message (?:status - )?undeliverable|message (?:you sent )?(?:blocked|rejected)|rejected:|unable to deliver",
    r"(?:e-?mail|message) (?:bounced|rejected)|bounced? (?:mail|message)|\**message you sent blocked",
    r"delivery status notification$",
    # de, fr, es, pt, it, nl
    r"unzustellbar|nicht zustellbar|unzustellbarkeit|zustellung fehlgeschlagen|fehlgeschlagene zustellung",
    r"non remis|non délivr|[ée]chec de (?:la )?(?:remise|livraison|distribution)|avis de non[- ]remise",
    r"no se (?:puede|pudo|ha podido) entregar|no entregado|correo no entregado|error de entrega",
    r"(?:correo |mensaje )?devuelto|(?:mensagem )?devolvida",
    r"não (?:é possível entregar|entregue|foi possível entregar)|falha (?:na|de) entrega|não pode ser entregue",
    r"non (?:recapitabile|consegnat|recapitat)|impossibile recapitare|mancat[ao] (?:recapito|consegna)",
    r"recapito non riuscito",
    r"onbestelbaar|niet (?:bezorgd|afgeleverd)|kan niet worden bezorgd|aflevering mislukt",
    # sv, da, nb, fi
    r"(?:går inte att|kan inte|kunde inte) leverera|olever(?:erbar|erat)|kan ikke leveres|ikke leveret|ikke levert",
    r"kunne ikke leveres|kan ikkje|perille toimittam|toimittaminen (?:ei onnistu|epäonnistui)",
    r"ei (?:voi|voitu) toimittaa",
    # pl, cs, sk, hu, ro, tr, hr, sl
    r"niedostarcz|nie (?:można|udało się) dostarczyć|nedoručiteľn|nedoručiteln|nedoručen|nedorucen|kézbesíthetetlen",
    r"nem kézbesíthető|sikertelen kézbesítés|imposibil de livrat|nelivrabil|mesaj nelivrat|teslim edileme",
    r"neisporučivo|nije moguće isporučiti|ni mogoče dostaviti",
    # ru, uk, bg, el
    r"не ?доставлен|не удается доставить|не удалось доставить|недоставленное|не вдалося доставити|недоставлено",
    r"невъзможно доставяне|недоставим|δεν (?:είναι δυνατή|παραδόθηκε)|αδύνατη η παράδοση|μη δυνατή",
    # ja, zh, ko, ar, he, th
    r"配信不能|配信(?:に)?失敗|配信できません|送信できません|未送達|未送达|未能送达|无法(?:投递|传递|送达)",
    r"未传递|退信|投递失败",
    r"無法(?:傳遞|投遞|送達)|未能傳遞",
    r"배달되지 않음|배달할 수 없음|반송|발송 ?실패|تعذر التسليم|غير قابل للتسليم|לא ניתן למסור|ไม่สามารถส่ง",
)

DELAYED = (
    r"delivery (?:is )?(?:delayed|status notification ?\((?:delay|delayed)\))",
    r"(?:message|mail|e-?mail) (?:is |delivery )?delayed",
    r"delayed (?:mail|message|delivery)|warning: (?:could not send|message)|delay(?:ed)?:|mdaemon warning",
    r"transient delivery",
    r"zustellung verzögert|verzögert|verzögerung|remise (?:différée|retardée)",
    r"(?:message|livraison) (?:retardée?|différée?)|retardé",
    r"entrega (?:retrasada|atrasada|demorada)|retrasad|atrasad|consegna ritardata|recapito ritardato|ritardat",
    r"vertraagd|vertraging",
    r"försenad|levering(?:en)? (?:er )?forsinket|forsinket|viivästy|opóźni|zpožděn|oneskoren|késlelte|întârziat|gecik",
    r"задерж|затрим|отложена доставка|забав|καθυστέρ|配信(?:の)?遅延|配信が遅れ|延迟|延遲|지연|تأخر|עיכוב|ล่าช้า",
)

STILL_TRYING = (
    r"(?:this is a )?warning (?:message )?only|(?:has|have) not (?:yet )?been delivered",
    r"will (?:keep|continue) (?:on )?trying",
    r"will (?:be|continue to be) (?:retried|attempted)|delivery attempts will continue|do not need to resend",
    r"still being retried",
    r"temporary problem delivering|weiterhin versuch|nouvelle tentative|seguir[áe] intentando|continuar[áe] tentando",
    r"zal (?:het )?blijven proberen",
    r"gmail will retry|retry for|noch nicht zugestellt|n['’]a pas encore été|aún no se ha|попытки доставки будут",
)

READ = (
    r"(?:read|not read|return receipt|disposition notification)",
    r"(?:gelesen|ungelesen|lesebestätigung|empfangsbestätigung)",
    r"(?:lu|non lu|confirmation de lecture|accusé de lecture)|(?:leído|no leído|confirmación de lectura)",
    r"(?:lidas?|não lida|confirmação de leitura)",
    r"(?:letto|non letto|conferma di lettura|ricevuta di ritorno)|(?:gelezen|leesbevestiging|ontvangstbevestiging)",
    r"(?:läst|oläst|läskvitto)",
    r"(?:læst|lest|kvittering for læsning|lesebekreftelse)|(?:luettu|lukuilmoitus)",
    r"(?:przeczytano|przeczytane|potwierdzenie przeczytania)",
    r"(?:přečteno|přečtené|potvrzení o přečtení)|(?:prečítané)|(?:olvasott|olvasási visszaigazolás)|(?:citit)",
    r"(?:okundu)",
    r"(?:прочитано|прочтено|уведомление о прочтении)|(?:прочетено)|(?:αναγνώστηκε|διαβάστηκε)",
    r"(?:開封済み|開封確認|既読)",
    r"(?:已读|已讀)|(?:읽음)|(?:تمت القراءة)",
)

WAS_READ = (
    r"was (?:read|displayed|opened) on|has been (?:displayed|read|opened) (?:on|by)|this is a (?:return )?receipt for",
    r"return receipt for the (?:mail|message)|was received by:",
    r"wurde am .{1,60} gelesen|wurde (?:auf dem|gelesen|angezeigt)|a été lu|fue leíd[oa]|se leyó|foi lid[ao]",
    r"è stato letto|is gelezen|lästes|blev læst|ble lest",
    r"luettiin|zosta(?:ła|ło) (?:przeczytan|wyświetlon)|byla? přečten|elolvas|a fost citit|okundu|было прочитано",
    r"прочитано|開封されました|已于.{1,60}阅读|已讀取|읽었습니다",
)

ANSWERED_INVITATION = (
    r"(?:accepted|declined|tentative(?:ly accepted)?|new time proposed)",
    r"(?:zugesagt|angenommen|abgelehnt|mit vorbehalt|zusage|absage|vorläufig)",
    r"(?:accepté|refusé|provisoire|acceptation)|(?:aceptad[oa]|rechazad[oa]|provisional)",
    r"(?:aceit[oa]|aceite|recusad[oa]|provisóri[oa]|aceito provisoriamente)",
    r"(?:accettat[oa]|rifiutat[oa]|provvisori[oa])|(?:geaccepteerd|geweigerd|afgewezen|voorlopig)",
    r"(?:accepterat|avböjt|tackat nej|preliminärt)",
    r"(?:accepteret|afvist|foreløbig|godtatt|avslått)|(?:hyväksytty|hylätty|alustava)",
    r"(?:zaakceptowan[eoay]|odrzucon[eoay]|wstępnie)",
    r"(?:přijato|odmítnuto|nezávazně)|(?:elfogadva|elutasítva)|(?:acceptat|refuzat)|(?:kabul edildi|reddedildi)",
    r"(?:принято|отклонено|под вопросом)",
    r"(?:承諾|辞退|仮承諾|已接受|已拒绝|已謝絕|暂定|수락됨|거절됨|미정)",
)


NOT_DELIVERED = (
    r"(?:could|was|were|can) ?(?:not|n['’]t) (?:be )?delivered|(?:could|can) ?(?:not|n['’]t) deliver",
    r"was ?n['’]t able to deliver|unable to deliver",
    r"did not reach|delivery (?:to .{1,100} )?(?:has )?failed|failed to deliver|permanent (?:fatal )?errors?",
    r"user unknown|not listed in",
    r"konnte nicht (?:zugestellt|übermittelt)|n['’]a pas pu être (?:remis|distribué)|no se pudo entregar",
    r"não (?:pôde|pode) ser entregue",
    r"non è stato possibile (?:recapitare|consegnare)|kon niet worden (?:bezorgd|afgeleverd)",
    r"не (?:может|могло) быть доставлено",
)

AWAY = (
    r"\bi(?: am|['’]m)(?: currently| presently| now)? (?:out of|away|on|not in|travell?ing)",
    r"i (?:will|shall) be (?:out of|away).{1,60}(?:until|through|from|to)\b",
    r"(?:limited|no) access to (?:my )?e-?mail|(?:will be|am) back (?:on|in)|will return (?:on|to)",
    r"(?:ich bin|bin ich) .{0,60}(?:abwesend|nicht|urlaub|wieder)",
    r"je (?:suis|serai) .{0,60}(?:absent|congé|bureau|retour)|de retour le",
    r"(?:estoy|estaré|me encuentro) .{0,40}(?:fuera|ausente|vacaciones)|regreso el",
    r"(?:estou|estarei) .{0,40}(?:fora|ausente|férias)|(?:sono|sarò) .{0,40}(?:fuori|assente|ferie)|rientr",
    r"ik ben .{0,40}(?:afwezig|niet|vakantie|weer)",
    r"jag är .{0,40}(?:inte|semester|tillbaka|ledig)|jeg er .{0,40}(?:ikke|ferie|tilbage|tilbake|fravær)",
    r"olen .{0,40}(?:poissa|lomalla)|jestem .{0,40}(?:poza|urlopie|nieobecn)",
    r"(?:jsem|nejsem|som|nie som) .{0,40}(?:mimo|dovolen|přítom|prítom|kancel)|szabadságon vagyok",
    r"(?:я )?(?:сейчас |нахожусь |буду )+.{0,20}(?:в отпуске|вне офиса|отсутств)",
    r"меня не будет|вернусь|休暇を(?:いただ|取)|不在にして|不在のため",
    r"(?:目前|现在|正在).{0,10}(?:休假|外出|不在)|부재 ?중",
    r"(?:autoresponder|automatically generated|auto(?:matic|mated) (?:reply|response))",
)


@cache
def begins(*phrases: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"\s*(?:\[[^\]]{{1,40}}\]\s*|\*{{2,5}}\s*|auto:\s*)?(?:{_either(phrases)})", re.IGNORECASE)


@cache
def is_title(*phrases: tuple[str, ...]) -> re.Pattern[str]:
    """A subject that is one of them, or begins with one as with a title."""
    kind = r"(?:[- ]+(?:auto\w*[- ]?)?(?:reply|response|message|notification|notice|assistant|re|aw))?"
    return re.compile(rf"{begins(*phrases).pattern}{kind}[\s!.*]*(?:$|[:：;,(\[–—-])", re.IGNORECASE)


@cache
def anywhere(*phrases: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(_either(phrases), re.IGNORECASE)


def _either(phrases: tuple[tuple[str, ...], ...]) -> str:
    return "|".join("|".join(each) for each in phrases)
