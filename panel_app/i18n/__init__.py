"""What people read, in Brazilian Portuguese and in English, chosen per session."""

from panel_app.i18n.translator import LANGUAGES, Language, Translator, translator_of

__all__ = ["LANGUAGES", "Language", "Translator", "translator_of"]
