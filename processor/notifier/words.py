"""The operator's words for notifications, in both languages."""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.records import AlarmState


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Every word of a notification in one language.

    `system` maps an alarm about Steam itself, by the start of its name, to title and explanation.
    """

    language: str
    number_marks: Mapping[int, int | str]
    time_form: str
    headings: Mapping[str, str]
    states: Mapping[AlarmState, str]
    types: Mapping[str, str]
    system: Mapping[str, tuple[str, str]]
    steam: str
    boiler: str
    measured: str
    value: str
    limit: str
    none: str
    age: str
    state: str
    priority: str
    of: str
    since: str
    at: str
    by: str
    note: str
    response: str
    flood: str
    more: str
    silent_title: str
    silent_body: str
    back_title: str
    back_body: str
    trial_title: str
    trial_body: str


_PORTUGUESE = Words(
    language="pt-BR",
    number_marks=str.maketrans(",.-", ".,−"),
    time_form="%d/%m/%Y %H:%M:%S",
    headings={"alarm": "ALARME", "acknowledged": "RECONHECIDO", "returned": "NORMALIZADO"},
    states={
        AlarmState.NORMAL: "normal",
        AlarmState.UNACK: "ativo, não reconhecido",
        AlarmState.ACKED: "ativo, reconhecido",
        AlarmState.RTN_UNACK: "voltou ao normal, não reconhecido",
    },
    types={
        "HIHI": "acima do limite muito alto",
        "HI": "acima do limite alto",
        "LO": "abaixo do limite baixo",
        "LOLO": "abaixo do limite muito baixo",
        "STALE": "sem leitura nova",
    },
    system={
        "evaluator_lagging": (
            "Avaliação de alarmes atrasada",
            "Mensagens esperam para ser avaliadas; até lá, leituras paradas não são julgadas.",
        ),
        "identity_reused": (
            "Dispositivo repete identidade",
            "Mandou outro conteúdo sob um número já usado. Foi regravado, ou há duas placas com este nome?",
        ),
        "store_refuses": (
            "O banco de dados recusa o Steam",
            "Conta, permissão ou banco errado: os dados esperam no broker e nada se perde. Corrija e rode `steam doctor`.",
        ),
        "store_away": (
            "Banco de dados fora do ar",
            "Os dados esperam no broker e nada se perde; os alarmes continuam. Verifique o servidor e a rede.",
        ),
        "quarantine_full": (
            "Quarentena cheia",
            "Mensagens ruins além do limite são contadas e descartadas. Veja `steam quarantine list`, reenvie ou descarte.",
        ),
        "quarantine_away": (
            "Quarentena fora do ar",
            "Mensagens ruins esperam no broker; as boas continuam sendo gravadas. Verifique o broker.",
        ),
        "device_flooding": (
            "Dispositivo inunda a quarentena",
            "Suas mensagens ruins agora só são contadas. Corrija ou desligue o dispositivo.",
        ),
        "unknown_device": (
            "Mensagens de dispositivo não cadastrado",
            "Estão guardadas na quarentena. Adote com `steam device adopt`, ou desligue o dispositivo.",
        ),
        "topology_differs": (
            "O broker não está como a planta pede",
            "Mensagens podem não chegar onde devem. Rode `steam topology audit`.",
        ),
        "topology_repaired": (
            "O broker foi reparado",
            "Faltava algo no broker e o Steam refez. Descubra quem alterou o broker.",
        ),
        "broker_unaudited": (
            "O broker não pode ser conferido",
            "A API de gerenciamento não responde ou recusa a conta. Rode `steam doctor`.",
        ),
        "queue_filling": (
            "Fila quase cheia",
            "Cheia, ela recusa mensagens novas e os dispositivos as guardam. Verifique quem a consome.",
        ),
        "dead_letters": (
            "Mensagens mortas no broker",
            "Foram entregues vezes demais sem sucesso. Veja `steam quarantine list`.",
        ),
    },
    steam="Steam (sistema de supervisão)",
    boiler="Caldeira",
    measured="Medição",
    value="Valor",
    limit="Limite",
    none="sem valor",
    age="Última leitura há {age} s (limite {limit} s)",
    state="Estado",
    priority="Prioridade",
    of="de",
    since="Desde",
    at="Hora",
    by="Operador",
    note="Nota",
    response="O que fazer",
    flood="{count} transições de alarme (caldeiras: {boilers})",
    more="… e mais {count}; veja a lista de alarmes.",
    silent_title="ALARME P1 · Steam: o processador está em silêncio",
    silent_body=(
        "Nenhum sinal do processador desde {since}.\n"
        "Enquanto isso os alarmes NÃO são avaliados.\n"
        "O que fazer: acompanhe as caldeiras no local e verifique o processador e a rede."
    ),
    back_title="NORMALIZADO · Steam: o processador voltou",
    trial_title="Steam: teste",
    trial_body="Esta é só uma mensagem de teste. Os alarmes chegarão por aqui.",
    back_body="Em silêncio desde {since}, de volta às {at}.\nOs alarmes voltam a ser avaliados.",
)

_ENGLISH = Words(
    language="en",
    number_marks={ord("-"): "−"},
    time_form="%Y-%m-%d %H:%M:%S",
    headings={"alarm": "ALARM", "acknowledged": "ACKNOWLEDGED", "returned": "RETURNED"},
    states={
        AlarmState.NORMAL: "normal",
        AlarmState.UNACK: "active, unacknowledged",
        AlarmState.ACKED: "active, acknowledged",
        AlarmState.RTN_UNACK: "returned to normal, unacknowledged",
    },
    types={
        "HIHI": "above the high-high limit",
        "HI": "above the high limit",
        "LO": "below the low limit",
        "LOLO": "below the low-low limit",
        "STALE": "no new reading",
    },
    system={
        "evaluator_lagging": (
            "Alarm evaluation lags behind",
            "Messages wait to be evaluated; staleness is not judged meanwhile.",
        ),
        "identity_reused": (
            "Device repeats an identity",
            "It sent other content under a number used before. Was it reflashed, or do two boards carry this name?",
        ),
        "store_refuses": (
            "The store refuses Steam",
            "Wrong account, permission or bucket: data waits at the broker and nothing is lost. Mend it, then run `steam doctor`.",
        ),
        "store_away": (
            "The store is away",
            "Data waits at the broker and nothing is lost; alarms go on. Check the server and the network.",
        ),
        "quarantine_full": (
            "Quarantine full",
            "Bad messages beyond its bound are counted and dropped. See `steam quarantine list`; retry or drop some.",
        ),
        "quarantine_away": (
            "Quarantine away",
            "Bad messages wait at the broker; good ones are still stored. Check the broker.",
        ),
        "device_flooding": (
            "Device floods the quarantine",
            "Its bad messages are only counted now. Mend the device or switch it off.",
        ),
        "unknown_device": (
            "Messages of an unregistered device",
            "They are kept in quarantine. Adopt it with `steam device adopt`, or switch it off.",
        ),
        "topology_differs": (
            "The broker is not as the plant needs it",
            "Messages may not get where they belong. Run `steam topology audit`.",
        ),
        "topology_repaired": (
            "The broker was repaired",
            "Something was missing in the broker, and Steam made it again. Find out who changed the broker.",
        ),
        "broker_unaudited": (
            "The broker cannot be audited",
            "Its management API is away or refuses the account. Run `steam doctor`.",
        ),
        "queue_filling": (
            "A queue is nearly full",
            "Once full it refuses new messages, and the devices keep them. Check who should consume it.",
        ),
        "dead_letters": (
            "Dead messages at the broker",
            "They were delivered too often without success. See `steam quarantine list`.",
        ),
    },
    steam="Steam (monitoring system)",
    boiler="Boiler",
    measured="Measured",
    value="Value",
    limit="Limit",
    none="no value",
    age="Last reading {age} s ago (limit {limit} s)",
    state="State",
    priority="Priority",
    of="of",
    since="Since",
    at="Time",
    by="Operator",
    note="Note",
    response="What to do",
    flood="{count} alarm transitions (boilers: {boilers})",
    more="… and {count} more; see the alarm list.",
    silent_title="ALARM P1 · Steam: the processor is silent",
    silent_body=(
        "No sign of life from the processor since {since}.\n"
        "Alarms are NOT evaluated meanwhile.\n"
        "What to do: watch the boilers on site, and look at the processor and the network."
    ),
    back_title="RETURNED · Steam: the processor is back",
    trial_title="Steam: test",
    trial_body="This is only a test message. Alarms will arrive here.",
    back_body="Silent since {since}, back at {at}.\nAlarms are evaluated again.",
)

WORDS: Mapping[str, Words] = {words.language: words for words in (_PORTUGUESE, _ENGLISH)}
