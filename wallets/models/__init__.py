from wallets.models.adjustments import WalletAdjustment
from wallets.models.methods import PaymentMethod, SavedMethods
from wallets.models.notices import Notice, NoticeDelivery
from wallets.models.spends import SpendReversal, WalletHold, WalletSpend
from wallets.models.statistics import PaymentStatistic
from wallets.models.telegram import TelegramCode, TelegramLink, TelegramUpdate
from wallets.models.wallets import TopUp, Wallet

__all__ = [
    "Notice",
    "NoticeDelivery",
    "PaymentMethod",
    "PaymentStatistic",
    "SavedMethods",
    "SpendReversal",
    "TelegramCode",
    "TelegramLink",
    "TelegramUpdate",
    "TopUp",
    "Wallet",
    "WalletAdjustment",
    "WalletHold",
    "WalletSpend",
]
