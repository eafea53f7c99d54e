"""The pages of the portal, in Portuguese and English: HTML with nothing outside of it."""

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Mapping

_STYLE = """*{box-sizing:border-box}
body{margin:0;background:#dcdfe0;color:#1b2226;font:16px/1.45 system-ui,-apple-system,Roboto,sans-serif}
header{background:#2e363b;color:#e9edee;padding:14px 0}
header div,main{max-width:28rem;margin:auto}
header div{display:flex;padding:0 16px;align-items:center;gap:12px}
h1{font-size:18px;line-height:1.3;margin:0;flex:1}
h1 small{display:block;font-size:14px;font-weight:400;color:#b4bec4}
header a{color:inherit;display:block;padding:11px 4px;min-width:44px}
main{padding:12px}
p{margin:0 4px 12px}
strong{overflow-wrap:anywhere}
fieldset{border:0;margin:0 0 12px;padding:14px 16px 2px;background:#f7f8f8;border-radius:8px;min-width:0}
legend{float:left;width:100%;font-weight:600;font-size:17px;margin:0 0 10px;padding:0}
[hidden]{display:none!important}
label{clear:both;display:block;font-weight:500;margin:0 0 14px}
input{width:100%;font:inherit;min-height:46px;margin-top:4px;padding:9px 12px;color:inherit;background:#fff;border:1px solid #7d878d;border-radius:6px}
input:focus-visible,button:focus-visible,a:focus-visible{outline:3px solid #1b2226;outline-offset:2px}
[aria-invalid]{border:2px solid #c8141e}
small{display:block;font-weight:400;font-size:14px;color:#59636a;margin-top:4px}
b{display:block;font-weight:500;font-size:14px;color:#a80f18;margin-top:4px;overflow-wrap:anywhere}
.row{clear:both;display:grid;grid-template-columns:1fr 6rem;gap:12px}
.c{display:flex;gap:12px;flex-wrap:wrap;align-items:center}
.c input{width:24px;min-height:24px;height:24px;margin:0;accent-color:#2e363b}
.c b{width:100%;margin:0}
#s{margin:16px 4px}
.n{background:#fff;border-left:4px solid #c8141e;padding:10px 12px;margin:0 0 12px;border-radius:4px;overflow-wrap:anywhere}
.k{border-color:#2e363b}
button{width:100%;min-height:52px;font:inherit;font-weight:600;font-size:17px;color:#fff;background:#2e363b;border:0;border-radius:8px;margin-bottom:24px}
button:active{background:#4b565d}"""

_TEXTS = {
    "pt": {
        "title": "Configurar dispositivo",
        "other": "English",
        "other_code": "en",
        "intro": "Preencha, salve, e o dispositivo entra na rede da planta.",
        "wifi": "Rede Wi-Fi",
        "ssid": "Nome da rede (SSID)",
        "wifi_password": "Senha da rede",
        "broker": "Servidor MQTT",
        "host": "Endereço",
        "host_hint": "Nome ou IP, como 192.168.0.10",
        "port": "Porta",
        "user": "Usuário",
        "password": "Senha",
        "tls": "Conexão cifrada (TLS)",
        "unit": "Identificação",
        "site": "Local",
        "device": "Dispositivo",
        "name_hint": "Minúsculas, números, - e _",
        "device_hint": "Como em steam device add",
        "keep": "Em branco: mantém a atual, na mesma rede ou servidor",
        "show": "Mostrar senhas",
        "save": "Salvar e reiniciar",
        "wrong": "Nada foi salvo. Corrija o que está marcado.",
        "refused": "Nada foi salvo. O dispositivo recusou:",
        "lost": "A configuração anterior não pôde ser lida:",
        "f_ssid": "De 1 a 32 bytes",
        "f_wifi_password": "De 8 a 63 caracteres, ou em branco se a rede é aberta",
        "f_host": "Um nome ou IP, sem espaços",
        "f_port": "De 1 a 65535",
        "f_site": "De 1 a 32: a-z, 0-9, - e _; começa com letra ou número",
        "f_device": "De 1 a 32: a-z, 0-9, - e _; começa com letra ou número",
        "f_tls": "Falta o certificado da planta ({}) na memória do dispositivo",
        "saved": "Salvo",
        "joins": "entra na rede {}",
        "connects": "se conecta a {}",
        "saved_text": "O dispositivo reinicia e {}. Você pode fechar esta página. "
        "Se a caldeira não aparecer no painel em alguns minutos, confira rede, senha e endereço.",
    },
    "en": {
        "title": "Set up device",
        "other": "Português",
        "other_code": "pt",
        "intro": "Fill in, save, and the device joins the plant's network.",
        "wifi": "Wi-Fi network",
        "ssid": "Network name (SSID)",
        "wifi_password": "Network password",
        "broker": "MQTT server",
        "host": "Address",
        "host_hint": "Name or IP, such as 192.168.0.10",
        "port": "Port",
        "user": "User",
        "password": "Password",
        "tls": "Encrypted connection (TLS)",
        "unit": "Identity",
        "site": "Site",
        "device": "Device",
        "name_hint": "Lower case, digits, - and _",
        "device_hint": "As in steam device add",
        "keep": "Empty: keeps the present one, for the same network or server",
        "show": "Show passwords",
        "save": "Save and restart",
        "wrong": "Nothing was saved. Correct what is marked.",
        "refused": "Nothing was saved. The device refused:",
        "lost": "The configuration before could not be read:",
        "f_ssid": "1 to 32 bytes",
        "f_wifi_password": "8 to 63 characters, or empty for an open network",
        "f_host": "A name or IP, no spaces",
        "f_port": "1 to 65535",
        "f_site": "1 to 32: a-z, 0-9, - and _; begins with a letter or digit",
        "f_device": "1 to 32: a-z, 0-9, - and _; begins with a letter or digit",
        "f_tls": "The plant's certificate ({}) is missing in the device's memory",
        "saved": "Saved",
        "joins": "joins the network {}",
        "connects": "connects to {}",
        "saved_text": "The device restarts and {}. You may close this page. "
        "If its boiler is not on the dashboard within minutes, check network, password and address.",
    },
}
_META = (
    '"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
    '<link rel="icon" href="data:,"><title>Steam: '
)
_SCRIPT = (
    '<script>s.hidden=0;s.onchange=function(e){document.querySelectorAll("[name$=password]")'
    '.forEach(function(i){i.type=e.target.checked?"text":"password"})}</script>'
)
_PLAIN = 'autocapitalize="none" autocorrect="off" spellcheck="false" autocomplete="off"'


def escape(text: str) -> str:
    """Text as HTML shows it, in an attribute too, with nothing of it understood as HTML."""
    for letter, entity in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ('"', "&quot;"),
        ("'", "&#39;"),
    ):
        text = text.replace(letter, entity)
    return text


def form(
    language: str,
    board: str,
    fields: "Mapping[str, str]",
    faults: "Mapping[str, str]",
    notes: "tuple[str, list]" = ("", []),
) -> str:
    """The form with what is known in it; `faults` are by field, `notes` are (text key, lines)."""
    texts = _TEXTS[language]

    def ask(name: str, more: str = "", hint: str = "") -> str:
        return _field(texts, name, fields.get(name, ""), faults.get(name), more, hint)

    def ask_password(name: str) -> str:
        hint = texts["keep"] if fields.get("has_" + name) else ""
        return _field(texts, name, fields.get(name, ""), faults.get(name), 'type="password"', hint)

    names = 'maxlength="32" required'
    parts = [
        _head(texts, texts["title"], board, language),
        _notes(texts, faults, notes),
        '<form method="post" action="/?',
        language,
        '">',
    ]
    if fields["has_wifi"]:
        parts += [
            "<fieldset><legend>",
            texts["wifi"],
            "</legend>",
            ask("ssid", "required"),
            ask_password("wifi_password"),
            "</fieldset>",
        ]
    parts += [
        "<fieldset><legend>",
        texts["broker"],
        '</legend><div class="row">',
        ask("host", 'maxlength="253" inputmode="url" required', texts["host_hint"]),
        ask("port", 'inputmode="numeric" maxlength="5"'),
        "</div>",
        ask("user"),
        ask_password("password"),
        _check(texts, "tls", fields.get("tls"), faults.get("tls")),
        "</fieldset><fieldset><legend>",
        texts["unit"],
        "</legend>",
        ask("site", names, texts["name_hint"]),
        ask("device", names, texts["device_hint"]),
        '</fieldset><label class="c" id="s" hidden><input type="checkbox">',
        texts["show"],
        "</label><button>",
        texts["save"],
        "</button></form></main>",
        # Without scripts the page lacks only the box that shows the passwords.
        _SCRIPT,
    ]
    return "".join(parts)


def saved(language: str, board: str, fields: "Mapping[str, str]") -> str:
    """What is shown once these fields are saved."""
    texts = _TEXTS[language]
    does, where = ("joins", "ssid") if fields["has_wifi"] else ("connects", "host")
    does = texts[does].format("<strong>" + escape(fields[where]) + "</strong>")
    text = escape(texts["saved_text"]).format(does)
    return _head(texts, texts["saved"], board, None) + '<div class="n k">' + text + "</div></main>"


def fault_text(language: str, field: str, detail: str = "") -> str:
    """What is wrong with a field, in words."""
    return _TEXTS[language]["f_" + field].format(detail)


def _head(texts: "Mapping[str, str]", title: str, board: str, language: "str | None") -> str:
    code = "en" if texts["other_code"] == "pt" else "pt-BR"
    switch = ""
    if language is not None:
        switch = '<a href="/?{0}" lang="{0}">{1}</a>'.format(texts["other_code"], texts["other"])
    intro = "<p>" + texts["intro"] + "</p>" if language is not None else ""
    parts = [
        '<!doctype html><html lang="',
        code,
        _META,
        title,
        "</title><style>",
        _STYLE,
        "</style><header><div><h1>",
        title,
        "<small>Steam · ",
        escape(board),
        "</small></h1>",
        switch,
        "</div></header><main>",
        intro,
    ]
    return "".join(parts)


def _notes(
    texts: "Mapping[str, str]", faults: "Mapping[str, str]", notes: "tuple[str, list]"
) -> str:
    key, lines = notes
    if faults:
        key, lines = "wrong", []
    if not key:
        return ""
    listed = "".join(["<br>" + escape(str(line)[:200]) for line in lines[:4]])
    return '<div class="n" role="alert">' + texts[key] + listed + "</div>"


def _field(
    texts: "Mapping[str, str]", name: str, value: str, fault: "str | None", more: str, hint: str
) -> str:
    parts = [
        "<label>",
        texts[name],
        '<input name="',
        name,
        '" value="',
        escape(value),
        '" ',
        _PLAIN,
        " ",
        more,
        ' aria-invalid="true"' if fault else "",
        ">",
        "<b>" + escape(fault) + "</b>" if fault else "",
        "<small>" + hint + "</small>" if hint and not fault else "",
        "</label>",
    ]
    return "".join(parts)


def _check(texts: "Mapping[str, str]", name: str, on: object, fault: "str | None") -> str:
    return '<label class="c"><input type="checkbox" name="{}" value="1"{}>{}{}</label>'.format(
        name,
        " checked" if on else "",
        texts[name],
        "<b>" + escape(fault) + "</b>" if fault else "",
    )
