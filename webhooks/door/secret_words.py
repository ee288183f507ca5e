"""Words that stand for secrets in the names of fields, in the languages and spellings that people use. Pure.

All as they are after `webhooks.door.secret_names.letters`: small letters without marks.
"""

import unicodedata


def letters(text: str) -> str:
    """Return `text` without marks on letters, invisible characters and wide forms ("ñ" is "n")."""
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFKD", text).translate(_LATIN)
    return "".join(letter for letter in apart if unicodedata.category(letter) not in _UNSEEN)


_LATIN = str.maketrans(
    {"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ı": "i", "ß": "ss", "æ": "ae", "œ": "oe"}
)
_UNSEEN = ("Mn", "Mc", "Me", "Cf")


def _words(text: str) -> frozenset[str]:
    return frozenset(letters(text).lower().split())


#: Secrets wherever they stand in a name: "password_main", "secretForTheDesk".
ANYWHERE = _words("""
secret secrets password passwords passwd passphrase passphrases passcode passcodes passwort kennwort pwd
mnemonic apikey apikeys secretkey privatekey accesskey credential credentials pasword passwrod paswword
passwrd psswd pswd pword passord pasphrase passfrase secert sercet secrect secreto secreta contraseña
contraseñas senha senhas segredo palavrapasse wachtwoord motdepasse lozinka heslo haslo jelszo şifre
parola parole salasana lösenord adgangskode adgangsord geheim geheimnis segreto κωδικός συνθηματικό
пароль пароли пароля секрет секретный гасло парола 密码 密碼 口令 密钥 密鑰 秘钥 秘密 暗証番号
パスワード シークレット 비밀번호 암호 비밀 비밀키 סיסמה סיסמא סוד السر المرور رمز سر گذرواژه رمزعبور
รหัสผ่าน पासवर्ड गुप्त khẩu sandi
""")
#: Secrets where they come last, or before a tail.
NOUNS = ANYWHERE | _words("""
pw psw pass passe passw token tokens tokn tokne tokken jwt bearer auth authn authorization authorisation
autorization authentication authentification creds cookie cookies signature sig hmac license licence otp
totp sid psk passkey passkeys licensekey licencekey authkey signingkey sessionkey sessionid pincode 2fa
mfa tfa clave chave chiave jeton ficha sleutel klucz schlüssel nyckel токен токены ключ 令牌 トークン 鍵
토큰 키 מפתח توکن
""")
#: What may stand behind such a word without changing what it is: `session_id`, `password_value`.
TAILS = _words("""
value text string hex base64 header code codes phrase id plain raw v new old live prod production test
testing demo main default current previous real paper backup
""")
#: In front of "key" these say that it tells things apart and opens nothing.
TELLS_APART = _words("""
strategy idempotency order event alert signal dedupe dedup sort primary foreign public symbol instrument
message trade position row cache partition group lookup hot routing object field map index chart bar
level config setting
""")
#: In front of "keys" these say what they open; with a key or a token behind them they are one wherever they stand.
OPENS = _words("api secret private access auth license licence ssh")
CARRIES = OPENS | _words("bot refresh bearer session webhook client signing encryption service master")
CARRIED = _words("key keys token tokens")
#: With an id, code or phrase behind them these are secrets; alone they mean something else on a market.
BEFORE_TAIL = {
    "session": {"id", "key", "token", "cookie"},
    "seed": {"phrase", "words"},
    "recovery": {"phrase", "words", "code", "codes"},
    "pin": {"code"},
    "pass": {"word", "words"},
    "security": {"code"},
    "access": {"code"},
}
#: Written in one word.
ENDINGS = (
    "secret", "password", "passwd", "passphrase", "passcode", "pwd", "token", "apikey", "secretkey", "privatekey",
    "accesskey", "licensekey", "licencekey", "authkey", "signingkey", "sessionid", "sessionkey", "cookie",
    "credentials", "authorization",
)  # fmt: skip
