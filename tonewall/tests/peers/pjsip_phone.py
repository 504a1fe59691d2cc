"""A softphone of PJSIP (PyPI `pjsua2-python`) that is told what to do by lines of standard input, and tells what happens.

pjsip_phone.py USER SIP_PORT FIRST_RTP_PORT RTP_PORTS FOLDER [tls|tcp|udp] [srtp|plain]

It hums, and writes what it hears to FOLDER/heard.wav. It answers by itself. Orders: dial URI, rfc2833 KEYS, info KEYS,
tones KEYS, hold, unhold, transfer URI, hangup, quit; merge (everybody hears everybody from here on), pass (keys of one go to
all others), newest (the orders are about the newest call from here on); attended (who is on the first call goes to the second),
attended_back (who is on the second goes to the first).
"""

import math
import select
import struct
import sys
import wave

import pjsua2 as pj

RATE = 8000


def say(*words):
    print(*words, flush=True)


class Call(pj.Call):
    def __init__(self, phone, call_id=pj.PJSUA_INVALID_ID):
        super().__init__(phone.account, call_id)
        self.phone = phone
        self.own = call_id

    def onCallState(self, prm):
        info = self.getInfo()
        say("state", info.stateText, info.lastStatusCode)
        if self.own == pj.PJSUA_INVALID_ID:
            self.own = info.id
        if info.id != self.own:
            # A call that a transfer of this one has made is told of here until somebody takes it.
            if info.state == pj.PJSIP_INV_STATE_CONFIRMED:
                self.phone.calls.append(Call(self.phone, info.id))
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self.phone.calls.remove(self)

    def onCallMediaState(self, prm):
        info = self.getInfo()
        for media in info.media:
            if media.type == pj.PJMEDIA_TYPE_AUDIO:
                active = media.status == pj.PJSUA_CALL_MEDIA_ACTIVE
                say("media", "active" if active else "inactive", media.status)
                if active:
                    self.phone.connect(self.getAudioMedia(media.index))
                    self.phone.mix()

    def onDtmfDigit(self, prm):
        say("heard", prm.digit)
        self.phone.heard(self, prm.digit)

    def onCallReplaced(self, prm):
        """Another call has come in the place of this one."""
        call = Call(self.phone, prm.newCallId)
        self.phone.calls.append(call)
        prm.newCall = call

    def onCallTransferStatus(self, prm):
        say("transfer", prm.statusCode)
        prm.cont = True


class Account(pj.Account):
    def __init__(self, phone):
        super().__init__()
        self.phone = phone

    def onIncomingCall(self, prm):
        call = Call(self.phone, prm.callId)
        self.phone.calls.append(call)
        for line in prm.rdata.wholeMsg.splitlines():
            if line.startswith(("INVITE", "X-Tonewall-", "User-to-User")):
                say("told", line)
        answer = pj.CallOpParam()
        answer.statusCode = 200
        call.answer(answer)


class Phone:
    def __init__(self, user, port, first_rtp, rtp_ports, folder, transport, srtp):
        self.calls = []
        self.merged = False
        self.passes = False
        self.passed = []
        self.tones = None
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        config = pj.EpConfig()
        config.logConfig.level = 4
        config.logConfig.consoleLevel = 0
        config.logConfig.filename = f"{folder}/pjsip.log"
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.medConfig.clockRate = RATE
        config.medConfig.sndClockRate = RATE
        config.medConfig.noVad = True
        config.medConfig.ecTailLen = 0
        self.endpoint.libInit(config)
        self.endpoint.audDevManager().setNullDev()
        kinds = {
            "udp": pj.PJSIP_TRANSPORT_UDP,
            "tcp": pj.PJSIP_TRANSPORT_TCP,
            "tls": pj.PJSIP_TRANSPORT_TLS,
        }
        listen = pj.TransportConfig()
        listen.port = port
        listen.boundAddress = "127.0.0.1"
        listen.publicAddress = "127.0.0.1"
        if transport == "tls":
            stage = folder.rsplit("/", 1)[0]
            listen.tlsConfig.CaListFile = f"{stage}/ca.pem"
            listen.tlsConfig.certFile = f"{stage}/both.pem"
            listen.tlsConfig.privKeyFile = f"{stage}/both.pem"
            listen.tlsConfig.verifyServer = True
            listen.tlsConfig.verifyClient = True
        self.endpoint.transportCreate(kinds[transport], listen)
        self.endpoint.libStart()
        for codec in self.endpoint.codecEnum2():
            wanted = codec.codecId.startswith(("PCMU/8000", "PCMA/8000"))
            self.endpoint.codecSetPriority(codec.codecId, 200 if wanted else 0)
        account = pj.AccountConfig()
        account.idUri = f"sip:{user}@127.0.0.1:{port}"
        if transport != "udp":
            account.idUri += f";transport={transport}"
        media = account.mediaConfig
        media.transportConfig.port = first_rtp
        media.transportConfig.portRange = rtp_ports
        media.transportConfig.boundAddress = "127.0.0.1"
        media.transportConfig.publicAddress = "127.0.0.1"
        if srtp == "srtp":
            media.srtpUse = pj.PJMEDIA_SRTP_MANDATORY
            media.srtpSecureSignaling = 0
        self.account = Account(self)
        self.account.create(account)
        with wave.open(f"{folder}/hum.wav", "wb") as hum:
            hum.setnchannels(1)
            hum.setsampwidth(2)
            hum.setframerate(RATE)
            samples = (int(600 * math.sin(0.3 * index)) for index in range(60 * RATE))
            hum.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
        self.hum = pj.AudioMediaPlayer()
        self.hum.createPlayer(f"{folder}/hum.wav")
        self.ear = pj.AudioMediaRecorder()
        self.ear.createRecorder(f"{folder}/heard.wav")

    def connect(self, sound):
        self.hum.startTransmit(sound)
        sound.startTransmit(self.ear)
        if self.tones is None:
            self.tones = pj.ToneGenerator()
            self.tones.createToneGenerator(RATE, 1)
        self.tones.startTransmit(sound)

    def mix(self):
        """A conference of all calls, as a PBX's bridge or a phone has it."""
        if not self.merged:
            return
        sounds = [call.getAudioMedia(-1) for call in self.calls if call.hasMedia()]
        for one in sounds:
            for other in sounds:
                if one is not other:
                    one.startTransmit(other)

    def heard(self, from_call, digit):
        """A bridge passes keys on, once it is out of the callback that told of them."""
        if self.passes:
            self.passed += [(call, digit) for call in self.calls if call is not from_call]

    def pass_on(self):
        while self.passed:
            call, digit = self.passed.pop(0)
            dtmf = pj.CallSendDtmfParam()
            dtmf.method = pj.PJSUA_DTMF_METHOD_RFC2833
            dtmf.duration = 120
            dtmf.digits = digit
            call.sendDtmf(dtmf)

    @property
    def call(self):
        """The oldest one, which the orders are about."""
        return self.calls[0]

    def dial(self, uri):
        call = Call(self)
        self.calls.append(call)
        call.makeCall(uri, pj.CallOpParam(True))

    def key(self, keys, method):
        for key in keys:
            dtmf = pj.CallSendDtmfParam()
            dtmf.method = method
            dtmf.duration = 120
            dtmf.digits = key
            self.call.sendDtmf(dtmf)
            self.wait(200)

    def play(self, keys):
        digits = pj.ToneDigitVector()
        for key in keys:
            digit = pj.ToneDigit()
            digit.digit = key
            digit.on_msec = 100
            digit.off_msec = 100
            digit.volume = 6000
            digits.append(digit)
        # The hum pauses, as people do who press keys.
        sound = self.call.getAudioMedia(-1)
        self.hum.stopTransmit(sound)
        self.tones.playDigits(digits)
        self.wait(200 * len(keys) + 300)
        self.hum.startTransmit(sound)

    def wait(self, milliseconds):
        for _ in range(milliseconds // 20):
            self.endpoint.libHandleEvents(20)

    def hold(self):
        self.call.setHold(pj.CallOpParam())

    def unhold(self):
        again = pj.CallOpParam(True)
        again.opt.flag = pj.PJSUA_CALL_UNHOLD
        self.call.reinvite(again)

    def obey(self, line):
        order, _, rest = line.strip().partition(" ")
        if order == "dial":
            self.dial(rest)
        elif order == "rfc2833":
            self.key(rest, pj.PJSUA_DTMF_METHOD_RFC2833)
        elif order == "info":
            self.key(rest, pj.PJSUA_DTMF_METHOD_SIP_INFO)
        elif order == "tones":
            self.play(rest)
        elif order == "hold":
            self.hold()
        elif order == "unhold":
            self.unhold()
        elif order == "transfer":
            self.call.xfer(rest, pj.CallOpParam(True))
        elif order == "attended":
            self.calls[0].xferReplaces(self.calls[1], pj.CallOpParam(True))
        elif order == "attended_back":
            self.calls[1].xferReplaces(self.calls[0], pj.CallOpParam(True))
        elif order == "merge":
            self.merged = True
            self.mix()
        elif order == "pass":
            self.passes = True
        elif order == "newest":
            self.calls.insert(0, self.calls.pop())
        elif order == "hangup":
            self.call.hangup(pj.CallOpParam(True))
        elif order == "quit":
            return False
        else:
            raise ValueError(order)
        say("done", order)
        return True

    def run(self):
        say("ready")
        while True:
            self.endpoint.libHandleEvents(20)
            self.pass_on()
            if select.select([sys.stdin], [], [], 0)[0]:
                line = sys.stdin.readline()
                if not line or not self.obey(line):
                    break
        # Their files are whole only when they are closed.
        self.ear = None
        self.hum = None
        self.tones = None
        self.endpoint.hangupAllCalls()
        self.wait(200)
        self.calls.clear()
        self.account.shutdown()
        self.endpoint.libDestroy()


if __name__ == "__main__":
    user, port, first_rtp, rtp_ports, folder = sys.argv[1:6]
    Phone(user, int(port), int(first_rtp), int(rtp_ports), folder, sys.argv[6], sys.argv[7]).run()
